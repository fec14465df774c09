/**
 * Recordings in an S3 bucket under Object Lock, by the real binary: they leave the relay's disk and stay to be read, exported,
 * searched, unsealed and sealed anew; the bucket goes away, the relay is killed, and nothing is lost. A foreign client fetches
 * the bucket for an auditor.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, startStage, type Stage } from '../support/relay.ts';
import { S3Server } from '../support/s3/s3-server.ts';

const skip = missing('postgresql') || missing('s3cmd');
const run = promisify(execFile);
const account = {
  bucket: 'evidence',
  region: 'eu-test-1',
  accessKeyId: 'AKIDHOOPRELAY',
  secretAccessKey: 'planted-secret-of-the-archive',
};
const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"unseal", Action::"reseal"], resource);
`;
const [identity, other] = [await generateIdentity(), await generateIdentity()];

/** Of a log, by its checkpoint. */
const sizeIn = (note: Buffer): number => Number(note.toString().split('\n')[1]);

const open: { stage?: Stage; server?: S3Server } = {};
after(async () => {
  await open.stage?.close();
  await open.server?.[Symbol.asyncDispose]();
});

async function stageWith(server: S3Server): Promise<Stage> {
  return startStage({
    policy,
    config: {
      masking: { rules: [{ name: 'personal', detect: ['email'], mode: 'redact' }] },
      evidence: {
        seal: { recipients: [await identityToRecipient(identity)] },
        archive: {
          s3: {
            endpoint: server.url,
            region: account.region,
            bucket: account.bucket,
            prefix: 'relay-1',
            credentials: { accessKeyId: 'env:S3_KEY', secretAccessKey: 'env:S3_SECRET' },
            lock: { mode: 'compliance', retain: '1d' },
            encryption: 'AES256',
          },
          keepLocal: '0s',
        },
      },
    },
  });
}

test(
  'an archive in S3: away from the disk and there for everybody; away itself, and nothing is lost',
  { skip },
  async () => {
    process.env['S3_KEY'] = account.accessKeyId;
    process.env['S3_SECRET'] = account.secretAccessKey;
    const server = (open.server = await S3Server.start({ ...account, pageSize: 5 }));
    const secrets = { S3_KEY: account.accessKeyId, S3_SECRET: account.secretAccessKey };
    const stage = (open.stage = await stageWith(server));
    const { ana, lea, installation, directory } = stage;
    await installation.stop();
    await installation.start(secrets);
    await lea.login(installation.url);
    const operator = (...args: string[]) =>
      hoop([...args, '--config', installation.configFile], { env: { ...installation.env, ...secrets } });
    const file = (name: string): string => path.join(directory, name);
    const psql = async (sql: string): Promise<void> => {
      const ran = await ana.hoop('connect', 'db', '--', 'psql', '-Xc', sql);
      assert.equal(ran.code, 0, ran.stderr);
    };
    /** Ids of sessions whose recordings are here. */
    const here = (): string[] =>
      (readdirSync(path.join(installation.evidence, 'recordings'), { recursive: true }) as string[])
        .filter((name) => /\.(?:cbor|zst|age)$/.test(name))
        .map((name) => path.basename(path.dirname(name)));
    const metric = async (name: string): Promise<number> => {
      const text = await (await installation.fetch(new URL('/metrics', installation.url))).text();
      return Number(new RegExp(`^${name}\\{kind="s3"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    };

    await psql("select 'ana.planted@customers.example', 'searched for'");
    await psql("select 'the second one'");
    await eventually(
      'both are in the archive alone',
      () => here().length === 0 && server.keys().length > 4,
      60_000,
    );
    const { sessions } = JSON.parse((await lea.hoop('audit', 'sessions', '--json')).stdout) as {
      sessions: { session: string }[];
    };
    const [first, second] = sessions.map(({ session }) => session) as [string, string];
    const recorded = server.keys().filter((key) => key.includes('/recordings/'));
    for (const key of recorded) {
      const object = server.object(key)!;
      assert.deepEqual(
        [object.mode, object.headers['x-amz-server-side-encryption']],
        ['COMPLIANCE', 'AES256'],
      );
      assert.doesNotMatch(object.bytes.toString('latin1'), /planted@/);
    }

    // Whoever reads finds everything as if it were here.
    const shown = await lea.hoop('audit', 'show', first);
    assert.match(shown.stdout, /searched for/, shown.output);
    const found = await lea.hoop('audit', 'search', 'second one', '--json');
    assert.match(found.stdout, new RegExp(second), found.output);
    writeFileSync(file('identity'), `${identity}\n`, { mode: 0o600 });
    const unsealed = await lea.hoop('audit', 'unseal', first, '--identity', file('identity'));
    assert.match(unsealed.stdout, /ana\.planted@customers\.example/, unsealed.output);
    const bundle = file('bundle.zip');
    const exported = await lea.hoop('audit', 'export', '--out', bundle);
    assert.equal(exported.code, 0, exported.output);
    const offline = await lea.hoop('audit', 'verify', bundle);
    assert.equal(offline.code, 0, offline.output);
    assert.equal((await lea.hoop('audit', 'verify')).code, 0);
    const checked = await operator('audit', 'fsck');
    assert.match(checked.stdout, /everything is where it should be/, checked.output);

    // Under its lock nothing is erased, and the log does not say so.
    const refused = await operator('relay', 'erase', '--session', first, '--reason', 'r', '--yes');
    assert.deepEqual([refused.code, /evidence-locked/.test(refused.stderr)], [2, true], refused.output);

    // Sealed to somebody else: it comes back, is replaced, and goes again as a newer version.
    const reseal = [
      'audit',
      'reseal',
      first,
      '--identity',
      file('identity'),
      '--recipient',
      await identityToRecipient(other),
    ];
    const resealed = await lea.hoop(...reseal);
    assert.equal(resealed.code, 0, resealed.output);
    const age = recorded.find((key) => key.endsWith('.age'))!;
    await eventually(
      'the new one is there, and here is none',
      () => server.object(age)!.versions === 2 && here().length === 0,
      60_000,
    );

    // Away: people go on, what is there alone is told to be out of reach, the relay may die.
    await server.stop();
    await psql("select 'while it was away'");
    const unread = await lea.hoop('audit', 'replay', first);
    assert.deepEqual(
      [unread.code, /The archive of recordings does not answer/.test(unread.stderr)],
      [5, true],
      unread.output,
    );
    await eventually('it is told', async () => (await metric('hoop_archive_failures_total')) > 0);
    assert.ok((await metric('hoop_archive_lag_entries')) > 0);
    assert.ok(here().length > 0);
    const unreachable = await operator('audit', 'fsck');
    assert.equal(unreachable.code, 5, unreachable.output);
    await installation.stop('SIGKILL');
    await installation.start(secrets);
    await psql("select 'and was killed'");
    await server.restart();
    await eventually('everything is there', () => here().length === 0, 90_000);
    await eventually('it has come to the end', async () => (await metric('hoop_archive_lag_entries')) === 0);

    // The bucket on its own, fetched by another program, verifies.
    await installation.stop();
    await installation.start(secrets);
    const copied = (): boolean =>
      sizeIn(server.object('relay-1/log/checkpoint')!.bytes) >=
      sizeIn(readFileSync(path.join(installation.evidence, 'log/checkpoint')));
    const discovery = await installation.fetch(new URL('/.well-known/hoop', installation.url));
    const { log } = JSON.parse(await discovery.text()) as { log: { vkey: string } };
    await eventually('the log is there', copied);
    await installation.stop();
    const settings = `[default]\naccess_key = ${account.accessKeyId}\nsecret_key = ${account.secretAccessKey}\nhost_base = ${server.url.slice(7)}\nhost_bucket = ${server.url.slice(7)}\nuse_https = False\nbucket_location = ${account.region}\n`;
    writeFileSync(file('s3cmd'), settings, { mode: 0o600 });
    mkdirSync(file('fetched'));
    await run('s3cmd', [
      '-c',
      file('s3cmd'),
      '--no-progress',
      'sync',
      's3://evidence/relay-1/',
      `${file('fetched')}/`,
    ]);
    const fetched = await hoop(['audit', 'verify', file('fetched'), '--vkey', log.vkey, '--json'], {
      env: installation.env,
    });
    assert.equal(fetched.code, 0, fetched.output);
    const report = JSON.parse(fetched.stdout) as { counts: { sessions: number; segments: number } };
    assert.ok(report.counts.segments >= 4, fetched.stdout);

    // What somebody removed there is found.
    server.tamper.remove(recorded.find((key) => key.includes(second))!);
    const lost = await operator('audit', 'fsck', '--json');
    assert.equal(lost.code, 6, lost.output);
    const { findings } = JSON.parse(lost.stdout) as { findings: { problem: string; session: string }[] };
    assert.deepEqual(
      findings.map(({ problem, session }) => [problem, session]),
      [['lost', second]],
    );
    for (const refusedBy of server.refused) assert.match(refusedBy.code, /NoSuchKey|AccessDenied/);
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    for (const { parentPath, name } of files)
      if (name !== 's3cmd')
        assert.ok(!readFileSync(path.join(parentPath, name)).includes(account.secretAccessKey), name);
  },
);
