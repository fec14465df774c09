/** Keys that the relay never holds: a program, and a real PKCS#11 token (SoftHSM). A log goes on while they are away. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { NewEntry } from '../../src/evidence/entry.ts';
import { openCheckpoint } from '../../src/evidence/log/checkpoint.ts';
import { Log } from '../../src/evidence/log/log.ts';
import { NoteSigner, NoteVerifier, type CheckpointSigner } from '../../src/evidence/log/note.ts';
import { verify } from '../../src/evidence/verify/index.ts';
import { SecretReference } from '../../src/relay/config/secret.ts';
import { CommandKey } from '../../src/relay/signing/command.ts';
import { ExternalSigner } from '../../src/relay/signing/external-signer.ts';
import { openSigner } from '../../src/relay/signing/open.ts';
import { systemClock } from '../../src/system/clock.ts';
import { missing } from '../support/programs.ts';
import { eventually } from '../support/eventually.ts';

const origin = 'relay.example/log';
const root = mkdtempSync(path.join(tmpdir(), 'hoop-signing-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A program in Node that signs as `body` says; `key` is in its scope. */
function program(body: string) {
  const file = path.join(mkdtempSync(path.join(root, 'command-')), 'sign.mjs');
  const made = `import { generateKeyPairSync } from 'node:crypto';
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    console.log(privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'));
    console.log(publicKey.export({ format: 'der', type: 'spki' }).subarray(12).toString('base64'));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', made], { encoding: 'utf8' });
  const [secret = '', shown = ''] = out.trim().split('\n');
  writeFileSync(
    file,
    `import { createPrivateKey, sign } from 'node:crypto';
    import { readFileSync } from 'node:fs';
    const key = createPrivateKey({ key: Buffer.from('${secret}', 'base64'), format: 'der', type: 'pkcs8' });
    ${body}`,
  );
  const verifier = NoteVerifier.ofPublicKey(origin, Buffer.from(shown, 'base64'));
  return { argv: [process.execPath, file], verifier };
}

test('a program signs; what it answers wrongly, late or not at all is refused by name', async () => {
  const good = program(`process.stdout.write(sign(null, readFileSync(0), key));`);
  const { signer } = await openSigner({ kind: 'command', ...good }, origin);
  const note = await signer.sign(`${origin}\n1\n${Buffer.alloc(32).toString('base64')}\n`);
  assert.equal(openCheckpoint(Buffer.from(note), good.verifier).checkpoint.size, 1);

  const cases: [body: string, code: string][] = [
    [`process.stdout.write(sign(null, Buffer.from('another text'), key));`, 'signer-answer-invalid'],
    [`process.stdout.write(Buffer.alloc(65));`, 'signer-answer-invalid'],
    [`process.stdout.write(Buffer.alloc(10));`, 'signer-answer-invalid'],
    [`process.exit(3);`, 'signer-refused'],
    [`setInterval(() => {}, 1000);`, 'signer-unavailable'],
  ];
  for (const [body, code] of cases) {
    const { argv, verifier } = program(body);
    const command = new CommandKey(argv, { timeoutMs: code === 'signer-unavailable' ? 300 : 10_000 });
    const bad = new ExternalSigner(verifier, (message) => command.sign(message));
    await assert.rejects(bad.sign('x\n'), { code }, body);
  }
  const absent = new CommandKey([path.join(root, 'nothing')]);
  await assert.rejects(absent.sign(Buffer.from('x')), { code: 'signer-unavailable' });
});

const entry: NewEntry = {
  kind: 'relay.started',
  actor: { kind: 'relay' },
  version: '1',
  configDigest: '0'.repeat(64),
};

test('while the key is away entries are durable and their checkpoint is late; too many of them stop the log; nothing is lost', async () => {
  const key = NoteSigner.generate(origin);
  let away = false;
  const signer: CheckpointSigner = {
    verifier: key.verifier,
    sign: async (text) => (away ? Promise.reject(new Error('away')) : key.sign(text)),
  };
  const evidence = mkdtempSync(path.join(root, 'log-'));
  const told: string[] = [];
  const options = {
    directory: path.join(evidence, 'log'),
    signer,
    clock: systemClock,
    checkpointMs: 5,
    retryMs: 20,
    unsignedBytes: 5000,
    onUnsigned: ({ code }: { code: string }) => void told.push(code),
  };
  let log = await Log.open(options);
  await log.append(entry);
  await eventually('published', () => log.published === 1);
  away = true;
  for (let i = 0; i < 10; i++) await log.append(entry);
  await eventually('told', () => told.length > 2);
  assert.equal(log.ready, true);
  assert.equal(log.published, 1);
  assert.ok(log.checkpointLagMs > 0);
  await log.close();
  log = await Log.open(options);
  assert.equal(log.size, 11, 'the journal has them, and a log whose key is away opens');
  const refused = async () => {
    for (;;) await log.append(entry);
  };
  await assert.rejects(refused(), { code: 'log-write-failed', message: 'the log could not be written' });
  assert.equal(log.ready, false);
  const { size } = log;
  away = false;
  await eventually('goes on by itself', () => log.ready);
  await log.append(entry);
  assert.ok(log.size > size);
  await log.close();
  const report = await verify({ directory: evidence, vkey: key.verifier.toString() });
  assert.deepEqual(report.findings, []);
});

const module_ = '/usr/lib/softhsm/libsofthsm2.so';

test(
  'a PKCS#11 token signs; a PIN that it refused is not tried again',
  { skip: missing('softhsm') },
  async () => {
    const tokens = path.join(root, 'tokens');
    mkdirSync(tokens);
    writeFileSync(path.join(root, 'softhsm.conf'), `directories.tokendir = ${tokens}\n`);
    process.env['SOFTHSM2_CONF'] = path.join(root, 'softhsm.conf');
    const quiet = { stdio: 'ignore' } as const;
    execFileSync(
      'softhsm2-util',
      ['--init-token', '--free', '--label', 'hoop', '--pin', '1234', '--so-pin', '5678'],
      quiet,
    );
    const pem = path.join(root, 'key.pem');
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', pem], quiet);
    execFileSync(
      'softhsm2-util',
      ['--import', pem, '--token', 'hoop', '--label', 'log', '--id', '01', '--pin', '1234'],
      quiet,
    );
    process.env['HOOP_TEST_PIN'] = '1234';
    process.env['HOOP_TEST_WRONG_PIN'] = '9999';
    const token = {
      kind: 'pkcs11',
      module: module_,
      token: 'hoop',
      label: 'log',
      pin: SecretReference.parse('env:HOOP_TEST_PIN', '/')!,
    } as const;
    const cases: [string, object, RegExp][] = [
      [
        'wrong PIN',
        { pin: SecretReference.parse('env:HOOP_TEST_WRONG_PIN', '/')! },
        /C_Login: CKR_PIN_INCORRECT/,
      ],
      ['no such token', { token: 'other' }, /no token with the label other/],
      ['no such key', { label: 'other' }, /no public Ed25519 key with the label other/],
      ['no such module', { module: '/nowhere.so' }, /the module cannot be used/],
    ];
    for (const [name, change, message] of cases)
      await assert.rejects(
        openSigner({ ...token, ...change }, origin),
        { code: 'signer-unavailable', message },
        name,
      );

    const opened = await openSigner(token, origin);
    const evidence = mkdtempSync(path.join(root, 'hsm-'));
    const directory = path.join(evidence, 'log');
    const old = NoteSigner.generate(origin);
    const log = await Log.open({ directory, signer: old, clock: systemClock });
    await log.append(entry);
    await log.rotate(opened.signer);
    await log.append(entry);
    await log.close();
    await opened.close();
    const report = await verify({ directory: evidence, vkey: old.verifier.toString() });
    assert.deepEqual(report.findings, []);
    assert.equal(report.keys.at(-1)?.vkey, opened.signer.verifier.toString());
  },
);
