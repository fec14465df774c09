/** Erasing and holds by the real binary: what is gone is told everywhere, and the record verifies for somebody without an account. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { missing } from '../support/programs.ts';
import { hoop, startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip
  ? null
  : await startStage({
      config: {
        evidence: {
          seal: { recipients: [await identityToRecipient(await generateIdentity())] },
          retention: { recordings: '400d', originals: '90d' },
        },
        masking: { rules: [{ name: 'personal', detect: ['email'], mode: 'redact' }] },
      },
    });
after(() => stage?.close());

test('originals, then a recording; a hold in between; killed and started again', { skip }, async () => {
  const { ana, lea, installation, verify, directory } = stage!;
  await lea.login(installation.url);
  for (const sql of ["select 'ana.planted@customers.example'", "select 'secret business'"]) {
    const ran = await ana.hoop('connect', 'db', '--', 'psql', '-Xc', sql);
    assert.equal(ran.code, 0, ran.stderr);
  }
  const [first, second] = JSON.parse((await lea.hoop('audit', 'sessions', '--json')).stdout).sessions as {
    session: string;
  }[];
  const operator = (...args: string[]) =>
    hoop([...args, '--config', installation.configFile], { env: installation.env });
  const files = (): string[] =>
    readdirSync(path.join(installation.evidence, 'recordings'), { recursive: true })
      .map(String)
      .filter((name) => /\.(zst|age)$/.test(name));
  const agesBefore = files().filter((name) => name.endsWith('.age')).length;
  assert.ok(agesBefore > 0);

  const unasked = await operator('relay', 'erase', '--person', 'ana@example.com', '--reason', 'r');
  assert.deepEqual([unasked.code, /add --yes/.test(unasked.stderr)], [2, true], unasked.stderr);
  const everything = await operator('relay', 'erase', '--reason', 'r', '--yes');
  assert.deepEqual([everything.code, /say what it is about/.test(everything.stderr)], [2, true]);

  const originals = await operator('relay', 'erase', '--person', 'ana@example.com', '--originals-only', '--reason', 'request 1', '--yes', '--json'); // prettier-ignore
  assert.deepEqual(JSON.parse(originals.stdout).erased, [first!.session], originals.stderr);
  assert.equal(files().filter((name) => name.endsWith('.age')).length, 0);
  let verified = await verify();
  assert.equal(verified.code, 0, verified.output);
  assert.match(verified.stdout, new RegExp(`erased {6}0 segments and ${agesBefore} files of originals`));

  const placed = await operator(
    'relay',
    'hold',
    'place',
    '--session',
    first!.session,
    '--reason',
    'case 7',
    '--json',
  );
  const { hold } = JSON.parse(placed.stdout);
  const refused = await operator(
    'relay',
    'erase',
    '--session',
    first!.session,
    '--reason',
    'request 2',
    '--yes',
  );
  assert.deepEqual([refused.code, /evidence-held/.test(refused.stderr)], [2, true], refused.stderr);
  await installation.stop('SIGKILL');
  await installation.start();
  assert.match(
    (await operator('relay', 'hold', 'list')).stdout,
    new RegExp(`${hold}.*session ${first!.session}.*case 7`),
  );
  const rest = await operator(
    'relay',
    'erase',
    '--person',
    'ana@example.com',
    '--reason',
    'request 3',
    '--yes',
  );
  assert.match(rest.stdout, /erased: 1 sessions; .*\n.*kept, since holds protect them: 1/);
  const released = await operator('relay', 'hold', 'release', hold, '--reason', 'closed');
  assert.equal(released.code, 0, released.stderr);

  // What its readers are told.
  const shown = await lea.hoop('audit', 'show', second!.session);
  assert.match(shown.stdout, /erased\s+the recording, 20\d\d-.*: the log has its digests/);
  assert.doesNotMatch(shown.stdout, /secret business/);
  const events = await lea.hoop('audit', 'export', '--format', 'jsonl');
  assert.match(events.stdout, /"kind":"evidence\.erased".*"cause":"request"/);
  assert.match(events.stdout, /planted|select/, 'the other one is there');
  const found = await lea.hoop('audit', 'search', 'secret business');
  assert.equal(found.code, 7, found.output);
  assert.equal((await lea.hoop('audit', 'replay', second!.session)).code, 0);
  verified = await verify();
  assert.equal(verified.code, 0, verified.output);
  const bundle = path.join(directory, 'after.zip');
  assert.equal((await lea.hoop('audit', 'export', '--out', bundle)).code, 0);
  const offline = await lea.hoop('audit', 'verify', bundle, '--json');
  assert.equal(offline.code, 0, offline.output);
  assert.ok(JSON.parse(offline.stdout).counts.erased.segments > 0);
});
