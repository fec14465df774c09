/**
 * Masking with its evidence, end to end: originals are planted on every path; nothing that the relay wrote shows one, not
 * even a killed relay's open files, and the auditor's identity opens each.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import pg from 'pg';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { hasErrno } from '../../src/errors.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, startStage, type Connected, type Running } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"unseal"], resource);
@id("ana-reads") permit (principal in Group::"engineering", action == Action::"readEvidence", resource is Session) when { context.own };
`;
const skip = missing('postgresql');
const identity = await generateIdentity();
const stage = skip
  ? null
  : await startStage({
      policy,
      config: {
        logging: { level: 'debug' },
        evidence: { seal: { recipients: [await identityToRecipient(identity)] } },
        masking: { rules: [{ name: 'personal', detect: ['email', 'card'], mode: 'redact' }] },
      },
    });
after(() => stage?.close());

/** One for each path, so that a leak says where it came from. */
const mail = (where: string): string => `planted.${where}@customers.example`;
const cards = ['4111111111111111', '5555555555554444'] as const;
const planted = [
  ...['literal', 'parameter', 'statement', 'copied', 'stored', 'raised', 'startup', 'last'].map(mail),
  ...cards,
];

const clientOf = async ({ url }: Connected, name: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url, application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

/** Files and their content; one that goes away meanwhile (a relay is at work) is left out. */
function* contentsBelow(directory: string): Generator<[file: string, content: Buffer]> {
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(directory, name);
    try {
      if (statSync(file).isFile()) yield [file, readFileSync(file)];
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
    }
  }
}

/** What may not be found, in each form in which it could be. */
const forms = planted.flatMap((text) => [
  Buffer.from(text),
  Buffer.from(Buffer.from(text).toString('hex')),
  Buffer.from(text, 'utf16le'),
  // In base64 a text looks different at each of three offsets; what its neighbours decide is left out.
  ...[0, 1, 2].map((shift) =>
    Buffer.from(
      Buffer.from(`${'x'.repeat(shift)}${text}`)
        .toString('base64')
        .slice(4, -4),
    ),
  ),
]);

/** Everything that the relay wrote: state, keys, evidence, its output. */
function search(relay: Running): void {
  const { installation, directory } = stage!;
  const found: string[] = [];
  const written = [path.join(directory, 'relay'), installation.evidence];
  const contents = written.flatMap((below) => Array.from(contentsBelow(below)));
  assert.ok(contents.some(([file]) => file.includes('recordings')));
  for (const [file, stored] of [...contents, ['output', Buffer.from(relay.output)] as const])
    for (const content of file.endsWith('.zst') ? [stored, zstdDecompressSync(stored)] : [stored])
      for (const form of forms)
        if (content.includes(form)) found.push(`${form.toString('latin1')} in ${file}`);
  assert.deepEqual(found, []);
}

async function plant(connected: Connected): Promise<void> {
  const { postgres } = stage!;
  const psql = (...args: string[]) =>
    run(path.join(postgres.binDir, 'psql'), ['-X', ...args], { env: connected.env });
  await postgres.sql(
    `create table people (mail text primary key, card text); grant all on people to app;
     insert into people values ('${mail('stored')}', '${cards[0]}')`,
  );
  const client = await clientOf(connected, mail('startup'));
  await client.query(`select '${mail('literal')}' as typed`);
  await client.query('select $1::text as bound', [mail('parameter')]);
  await client.query({ name: 'named', text: `select $1::int8, '${mail('statement')}'`, values: [cards[1]] });
  const { rows } = await client.query<{ mail: string }>('select mail, card from people');
  assert.ok(!JSON.stringify(rows).includes('planted.') && !JSON.stringify(rows).includes(cards[0]));
  await assert.rejects(client.query(`insert into people values ('${mail('stored')}', 'x')`));
  await client.query(`do $$ begin raise notice 'from %', '${mail('raised')}'; end $$`);
  await client.end();
  const copied = path.join(stage!.directory, 'people.tsv');
  writeFileSync(copied, `${mail('copied')}\t${cards[1]}\n`);
  assert.equal((await psql('-c', `\\copy people from '${copied}'`)).code, 0);
  assert.doesNotMatch((await psql('-c', 'copy people to stdout')).stdout, /planted/);
}

async function unsealed(session: string): Promise<string[]> {
  const file = path.join(stage!.directory, 'auditor.key');
  writeFileSync(file, `${identity}\n`, { mode: 0o600 });
  const opened = await stage!.lea.hoop('audit', 'unseal', session, '--identity', file, '--json');
  assert.equal(opened.code, 0, opened.stderr);
  const lines = opened.stdout.trimEnd().split('\n');
  return lines.map((line) => String((JSON.parse(line) as { original: unknown }).original));
}

test(
  'what is masked is nowhere in the clear, and each original unseals; after kill -9 too',
  { skip },
  async () => {
    const { installation, lea, ana, connect } = stage!;
    const connected = await connect();
    const { relay } = installation;
    await plant(connected);
    search(relay);
    await eventually('a segment and its originals are sealed', () =>
      [...contentsBelow(installation.evidence)].some(([file]) => file.endsWith('.age')),
    );
    // The last command is answered, and the relay is killed with its segment open.
    const client = await clientOf(connected, 'last');
    await client.query(`select '${mail('last')}'`);
    await installation.stop('SIGKILL');
    await client.end().catch(() => undefined);
    search(relay);
    search(await installation.start());
    await lea.login(installation.url);
    const originals = await unsealed(connected.session);
    const missed = planted.filter((text) => !originals.some((original) => original.includes(text)));
    assert.deepEqual(missed, []);

    const refused = await ana.hoop(
      'audit',
      'unseal',
      connected.session,
      '--identity',
      path.join(stage!.directory, 'auditor.key'),
    );
    assert.equal(refused.code, 3, refused.stderr);
    const reads = await lea.hoop('audit', 'export', '--format', 'jsonl');
    assert.match(reads.stdout, /"kind":"evidence.read".*"action":"unseal"/);
    assert.doesNotMatch(reads.stdout, /planted/);
    const verified = await stage!.verify();
    assert.equal(verified.code, 0, verified.output);
    await connected.running.stop('SIGINT');
  },
);

test(
  'an exported directory: offline, age opens its files, and a changed or missing one is named',
  { skip },
  async () => {
    const { lea, directory } = stage!;
    const out = path.join(directory, 'export');
    assert.equal((await lea.hoop('audit', 'export', '--out', out)).code, 0);
    const vkey = path.join(out, 'vkey');
    assert.equal((await lea.hoop('audit', 'verify', out, '--vkey-file', vkey)).code, 0);
    const ages = [...contentsBelow(out)].map(([file]) => file).filter((file) => file.endsWith('.age'));
    assert.ok(ages.length > 0);
    if (missing('age') === false)
      for (const file of ages)
        assert.ok(execFileSync('age', ['-d', '-i', path.join(directory, 'auditor.key'), file]).length > 0);
    const session = path.basename(path.dirname(ages[0]!));
    const key = path.join(directory, 'auditor.key');
    const withKey = await lea.hoop('audit', 'verify', out, '--vkey-file', vkey, '--identity', key, '--json');
    assert.equal(withKey.code, 0, withKey.output);
    const { originals } = JSON.parse(withKey.stdout) as { originals: { opened: number; locked: number } };
    assert.ok(originals.opened >= planted.length && originals.locked === 0);
    // By filters, of a rule; the relay's log says so.
    const range = ['--from', '1h', '--target', 'db', '--identity', key];
    const chosen = await lea.hoop('audit', 'unseal', ...range, '--rule', 'personal', '--json');
    assert.equal(chosen.stdout.trimEnd().split('\n').length, originals.opened, chosen.stderr);
    assert.match(
      (await lea.hoop('audit', 'unseal', ...range, '--rule', 'none')).stderr,
      /nothing was masked/,
    );
    const told = await lea.hoop('audit', 'export', '--format', 'jsonl');
    assert.match(told.stdout, /"action":"unseal".*"filters":\{"rule":"personal"\}/);
    const nothing = await lea.hoop('audit', 'unseal', '--identity', key);
    assert.deepEqual([nothing.code, /name a session, or say which/.test(nothing.stderr)], [2, true]);
    const offline = await lea.hoop('audit', 'unseal', session, '--identity', key, '--dir', out);
    assert.equal(offline.code, 0, offline.stderr);
    assert.match(offline.stderr, /no entry/);
    assert.match(offline.stdout, /planted/);
    const stranger = await lea.hoop('audit', 'keygen', '--out', path.join(directory, 'other.key'));
    assert.match(stranger.stdout, /age1/);
    const locked = await lea.hoop(
      'audit',
      'unseal',
      session,
      '--identity',
      path.join(directory, 'other.key'),
      '--dir',
      out,
    );
    assert.deepEqual([locked.code, /originals-locked/.test(locked.stderr)], [2, true]);
    writeFileSync(ages[0]!, Buffer.concat([readFileSync(ages[0]!), Buffer.from('x')]));
    const changed = await lea.hoop('audit', 'verify', out, '--vkey-file', vkey);
    assert.deepEqual([changed.code, /originals-digest-mismatch/.test(changed.stdout)], [6, true]);
  },
);
