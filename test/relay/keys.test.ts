import { test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseConfig } from '../../src/relay/config/config.ts';
import ssh2 from 'ssh2';
import { generateHostKey, openKeys } from '../../src/relay/keys.ts';
import { openLogKeys } from '../../src/relay/log-keys.ts';
import { Log } from '../../src/evidence/log/log.ts';
import { systemClock } from '../../src/system/clock.ts';

function install(context: TestContext, extra = '') {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-keys-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const config = parseConfig(path.join(directory, 'relay.yaml'), `dataDir: .\n${extra}`);
  return { directory, config, keys: path.join(directory, 'keys') };
}

test('made once, for the owner alone, and the same at the next start', async (context) => {
  const { config, keys } = install(context);
  const made = await openKeys(config);
  const log = await openLogKeys(config);
  assert.equal(statSync(keys).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(keys).toSorted(), [
    'log.key',
    'masking.key',
    'nonce.key',
    'provider.json',
    'ssh_host_ed25519_key',
    'token.json',
  ]);
  for (const name of readdirSync(keys))
    assert.equal(statSync(path.join(keys, name)).mode & 0o777, 0o600, name);
  assert.equal(log.signer.verifier.name, 'localhost:7443/log');
  assert.equal(made.nonceSecret.length, 32);
  assert.equal(made.maskingKey.length, 32);
  assert.notDeepEqual(made.maskingKey, made.nonceSecret);
  const again = await openKeys(config);
  assert.deepEqual(
    [again.token, again.provider, again.nonceSecret, again.maskingKey],
    [made.token, made.provider, made.nonceSecret, made.maskingKey],
  );
  const logAgain = await openLogKeys(config);
  assert.equal(logAgain.signer.verifier.toString(), log.signer.verifier.toString());
  assert.deepEqual(logAgain.successors, []);
});

test('relays that start at once agree on the shared keys', async (context) => {
  const { directory, config } = install(context);
  const relay = async (log: string) => {
    const file = path.join(directory, log);
    const own = { ...config, log: { ...config.log, key: { kind: 'file' as const, file } } };
    return { ...(await openKeys(own)), log: (await openLogKeys(own)).signer.verifier.toString() };
  };
  const all = await Promise.all([relay('1.key'), relay('2.key'), relay('3.key')]);
  for (const each of all) {
    assert.deepEqual(
      [each.token, each.provider, each.nonceSecret],
      [all[0]!.token, all[0]!.provider, all[0]!.nonceSecret],
    );
  }
  assert.equal(new Set(all.map(({ log }) => log)).size, 3);
});

test('a key that others could read, or that is no key, stops the start and is never replaced', async (context) => {
  const { config, keys } = install(context);
  const openAll = async () => {
    await openKeys(config);
    await openLogKeys(config);
  };
  await openAll();
  const cases: [string, string][] = [
    ['token.json', 'keys-invalid'],
    ['nonce.key', 'keys-invalid'],
    ['masking.key', 'keys-invalid'],
    ['ssh_host_ed25519_key', 'keys-invalid'],
    ['provider.json', 'provider-keys-invalid'],
    ['log.key', 'note-malformed'],
  ];
  for (const [name, code] of cases) {
    const file = path.join(keys, name);
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, '{"x":1}');
    await assert.rejects(openAll(), { code }, name);
    assert.equal(readFileSync(file, 'utf8'), '{"x":1}');
    writeFileSync(file, before);
    chmodSync(file, 0o640);
    await assert.rejects(openAll(), {
      code: name === 'log.key' ? 'log-key-exposed' : 'private-path-unsafe',
    });
    chmodSync(file, 0o600);
  }
  chmodSync(keys, 0o755);
  await assert.rejects(openKeys(config), { code: 'private-path-unsafe' });
});

test('a log whose key is gone is not continued with a new one; a key of another log is refused', async (context) => {
  const { directory, config, keys } = install(context);
  await openKeys(config);
  await openLogKeys(config);
  const other = parseConfig(
    path.join(directory, 'relay.yaml'),
    'dataDir: .\nlog: { origin: other.example/log }\n',
  );
  await assert.rejects(openLogKeys(other), { code: 'log-key-mismatch' });
  mkdirSync(path.join(directory, 'evidence/log'), { recursive: true });
  writeFileSync(path.join(directory, 'evidence/log/checkpoint'), 'x');
  rmSync(path.join(keys, 'log.key'));
  await assert.rejects(openLogKeys(config), { code: 'log-key-missing' });
  assert.ok(!readdirSync(keys).includes('log.key'));
});

test('after a hand-over has settled, what opens the log again has the new key at hand', async (context) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-settled-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const config = {
    log: {
      origin: 'relay.example/log',
      key: { kind: 'file', file: path.join(directory, 'key') },
      nextKey: null,
      witnesses: [],
      quorum: 0,
    },
    evidence: { directory } as never,
  } as const;
  const keys = await openLogKeys(config);
  // As `openEvidence` does, which goes round again when a start finds no room.
  const open = () =>
    Log.open({
      directory: path.join(directory, 'log'),
      signer: keys.signer,
      successors: keys.successors,
      clock: systemClock,
    });
  const log = await open();
  await log.rotate(await keys.successor());
  await keys.settle(log);
  await log.close();
  const again = await open();
  assert.equal(again.signer, keys.signer);
  await again.close();
});

test('every host key that is made can be read', () => {
  for (let i = 0; i < 2000; i++) {
    const key = ssh2.utils.parseKey(`${generateHostKey()}\n`);
    assert.ok(!(key instanceof Error), String(key));
  }
});
