/** Originals sealed to other auditors by the real binary, and opened by age itself; the relay is killed in the middle of it. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { startStage } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"unseal", Action::"reseal"], resource);
@id("ana-reads") permit (principal in Group::"engineering", action in [Action::"readEvidence", Action::"unseal"], resource is Session) when { context.own };
`;
const skip = missing('postgresql') || missing('age');
const [former, present] = [await generateIdentity(), await generateIdentity()];
const recipient = await identityToRecipient(present);
const stage = skip
  ? null
  : await startStage({
      policy,
      config: {
        evidence: { seal: { recipients: [await identityToRecipient(former)] } },
        masking: { rules: [{ name: 'personal', detect: ['email'], mode: 'redact' }] },
      },
    });
after(() => stage?.close());

const planted = (where: string): string => `planted.${where}@customers.example`;

/** A file with an identity. */
function keyFile(name: string, identity: string): string {
  const file = path.join(stage!.directory, name);
  writeFileSync(file, `${identity}\n`, { mode: 0o600 });
  return file;
}

/** A session of one query with a planted address, over. */
async function masked(where: string): Promise<string> {
  const { ana, lea } = stage!;
  const ran = await ana.hoop('connect', 'db', '--', 'psql', '-Xc', `select '${planted(where)}'`);
  assert.equal(ran.code, 0, ran.stderr);
  let session = '';
  await eventually('it is over, and its segments are sealed', async () => {
    const { sessions } = JSON.parse((await lea.hoop('audit', 'sessions', '--json')).stdout) as {
      sessions: { session: string; closedAt: string | null }[];
    };
    const last = sessions.at(-1)!;
    session = last.session;
    return last.closedAt !== null;
  });
  return session;
}

/** The session's first age file. */
function ageOf(session: string): string {
  const root = path.join(stage!.installation.evidence, 'recordings');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return path.join(
    root,
    files.find((file) => file.includes(session) && file.endsWith('.age'))!,
  );
}

const age = (key: string, file: string) => spawnSync('age', ['-d', '-i', key, file]);

test(
  'sealed to another auditor: age opens it with the new identity alone; killed in the middle, the next start ends it',
  { skip },
  async () => {
    const { ana, lea, installation, directory } = stage!;
    await lea.login(installation.url);
    const [old, now] = [keyFile('former.key', former), keyFile('present.key', present)];
    const session = await masked('first');
    const file = ageOf(session);
    const before = age(old, file);
    assert.ok(before.stdout.includes(planted('first')));
    assert.equal(age(now, file).status, 1);

    const args = ['audit', 'reseal', session, '--identity', old, '--recipient', recipient, '--json'];
    const refused = await ana.hoop(...args);
    assert.deepEqual([refused.code, /evidence-denied/.test(refused.output)], [3, true], refused.output);
    assert.ok(age(old, file).stdout.equals(before.stdout), 'nothing was done');
    const done = await lea.hoop(...args);
    assert.equal(done.code, 0, done.output);
    assert.deepEqual(JSON.parse(done.stdout), { resealed: 1, locked: 0, inRecording: 0, missing: 0 });

    assert.ok(age(now, file).stdout.equals(before.stdout), 'the same content');
    const locked = age(old, file);
    assert.deepEqual([locked.status, /no identity matched/.test(String(locked.stderr))], [1, true]);
    const again = await lea.hoop(...args);
    assert.deepEqual([again.code, /originals-locked/.test(again.output)], [2, true], again.output);
    const wrong = await lea.hoop(...args.slice(0, -2), 'age1q', '--json');
    assert.deepEqual([wrong.code, /recipient-invalid/.test(wrong.output)], [2, true], wrong.output);
    const unsealed = await lea.hoop('audit', 'unseal', session, '--identity', now);
    assert.match(unsealed.stdout, /planted\.first@/);

    const out = path.join(directory, 'export');
    assert.equal((await lea.hoop('audit', 'export', '--out', out)).code, 0);
    const trusted = ['--vkey-file', path.join(out, 'vkey')];

    // Killed when the new file stands beside the old one and is not in its place.
    const second = await masked('second');
    const other = ageOf(second);
    const killed = new Promise<void>((resolve) => {
      const watcher = watch(path.dirname(other), (_event, name) => {
        if (name?.endsWith('.age.tmp') !== true) return;
        watcher.close();
        resolve(installation.stop('SIGKILL'));
      });
    });
    const interrupted = lea.hoop(...args.with(2, second));
    await killed;
    assert.notEqual((await interrupted).code, 0);
    assert.ok(age(old, other).stdout.includes(planted('second')), 'not in its place yet');
    const dead = await lea.hoop('audit', 'verify', installation.evidence, ...trusted);
    assert.equal(dead.code, 0, dead.output);
    await installation.start();
    // Either the log had it, and the start puts it in place, or it is done now.
    await eventually('sealed to the other auditor', async () => {
      await lea.hoop(...args.with(2, second));
      return age(now, other).status === 0;
    });
    assert.ok(age(now, other).stdout.includes(planted('second')));
    assert.equal(age(old, other).status, 1);

    const verified = await lea.hoop('audit', 'verify', installation.evidence, ...trusted, '--identity', now, '--json'); // prettier-ignore
    assert.equal(verified.code, 0, verified.output);
    const { counts, originals, findings } = JSON.parse(verified.stdout);
    assert.deepEqual([counts.resealed, originals.opened >= 2, originals.locked, findings], [2, true, 0, []]);
    const told = await lea.hoop('audit', 'export', '--format', 'jsonl');
    const events = told.stdout.split('\n').filter((line) => line.includes('"kind":"originals.resealed"'));
    assert.ok(
      events.length >= 2 && events.every((line) => line.includes(recipient) && line.includes('lea@')),
    );
    assert.ok(!readFileSync(file).includes('planted'));
  },
);
