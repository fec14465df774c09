import { after, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unknownAuthentication } from '../../src/model/authentication.ts';
import type { NewEntry } from '../../src/evidence/entry.ts';
import { isTargetName } from '../../src/model/ids.ts';
import type { Principal } from '../../src/model/principal.ts';
import { askReload, controlSocket, serveControl, type ControlActions } from '../../src/relay/control.ts';
import { createLogger } from '../../src/relay/logging.ts';
import { PoliciesInForce, loadPolicies } from '../../src/relay/policies-in-force.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-reload-'));
after(() => rmSync(directory, { recursive: true }));
const yaml = path.join(directory, 'relay.yaml');
const first = path.join(directory, 'a.cedar');
const second = path.join(directory, 'b.cedar');
const permit = `@id("all") permit(principal, action == Action::"connect", resource);\n`;
const forbid = `@id("none") forbid(principal, action == Action::"connect", resource);\n`;

const ana: Principal = {
  kind: 'person',
  issuer: 'https://i',
  subject: 'u',
  email: null,
  groups: [],
  actsFor: null,
};
const name = 'db';
assert.ok(isTargetName(name));
const circumstances = {
  timeMs: 0,
  sourceAddress: '::1',
  authentication: unknownAuthentication,
  durationSeconds: 1,
  reason: null,
  task: null,
};
const decides = (policies: PoliciesInForce): string =>
  policies.current.connect(ana, { name, protocol: 'postgres', groups: [] }, circumstances).decision;

beforeEach(() => {
  writeFileSync(yaml, 'dataDir: .\n');
  writeFileSync(first, permit);
  writeFileSync(second, '');
  chmodSync(second, 0o600);
});

function start(append: (entry: NewEntry) => Promise<unknown> = () => Promise.resolve()) {
  const digest = createHash('sha256').update('dataDir: .\n').digest('hex');
  const config = { source: { file: yaml, digest }, policies: [first, second] };
  const entries: NewEntry[] = [];
  const lines: string[] = [];
  const policies = new PoliciesInForce(loadPolicies(config), {
    config,
    logger: createLogger('info', { write: (line) => void lines.push(line) }),
    append: (entry) => {
      entries.push(entry);
      return append(entry);
    },
  });
  return { policies, entries, lines };
}

/** As an auditor computes it. */
const digestByHand = (): string =>
  execFileSync('sh', ['-c', 'sha256sum "$0" "$1" "$2" | sha256sum', yaml, first, second])
    .toString()
    .slice(0, 64);

test('what the files say now is in force, and the log says so before it is', async () => {
  const { policies, entries, lines } = start(() => {
    assert.equal(decides(policies), 'allow', 'the entry comes first');
    return Promise.resolve();
  });
  const before = digestByHand();
  let asked = 0;
  policies.onReplaced = () => {
    assert.equal(decides(policies), 'deny');
    asked++;
    return 7;
  };
  writeFileSync(second, forbid);
  const reloaded = await policies.reload();
  const digest = digestByHand();
  assert.deepEqual(reloaded, {
    changed: true,
    digest,
    files: [first, second],
    policies: 2,
    sessionsEnded: 7,
    warnings: [
      'some policy permits connect, but none permits execute: sessions open, and every command is denied',
    ],
  });
  assert.equal(decides(policies), 'deny');
  assert.equal(asked, 1);
  assert.deepEqual(entries, [
    { kind: 'config.changed', actor: { kind: 'relay' }, configDigest: digest, previousDigest: before },
  ]);
  const told = lines.map((line): unknown => JSON.parse(line));
  assert.deepEqual(
    told.map((line) => typeof line === 'object' && line !== null && 'event' in line && line.event),
    ['policy warning', 'policies reloaded'],
  );
});

test('nothing changed: no entry, no session is looked at', async () => {
  const { policies, entries } = start();
  policies.onReplaced = () => assert.fail('nothing was replaced');
  const { changed, sessionsEnded } = await policies.reload();
  assert.deepEqual([changed, sessionsEnded, entries, decides(policies)], [false, 0, [], 'allow']);
});

test('policies that cannot be used leave the old ones in force, with every problem in the log', async () => {
  const { policies, entries, lines } = start();
  writeFileSync(first, 'permit(principal, acton, resource);');
  writeFileSync(second, 'forbid(principal, action, resourc);');
  await assert.rejects(policies.reload(), { code: 'policy-invalid' });
  assert.match(lines.join(''), /a\.cedar:1:19.*\n.*b\.cedar:1:27/);
  writeFileSync(first, forbid);
  writeFileSync(second, '');
  chmodSync(second, 0o666);
  await assert.rejects(policies.reload(), { code: 'config-exposed' });
  rmSync(second);
  await assert.rejects(policies.reload(), { code: 'policy-unreadable' });
  assert.deepEqual([decides(policies), entries], ['allow', []]);
  writeFileSync(second, '');
  await policies.reload();
  assert.equal(decides(policies), 'deny');
});

test('what cannot be told in the log is not in force', async () => {
  const { policies } = start(() => Promise.reject(new Error('disk full')));
  writeFileSync(first, forbid);
  await assert.rejects(policies.reload(), /disk full/);
  assert.equal(decides(policies), 'allow');
});

test('reloads run one after another; the last one counts', async () => {
  const waiting: (() => void)[] = [];
  const { policies, entries } = start(() => new Promise<void>((resolve) => waiting.push(resolve)));
  writeFileSync(first, forbid);
  const one = policies.reload();
  const two = policies.reload();
  while (waiting.length === 0) await new Promise(setImmediate);
  writeFileSync(first, permit);
  waiting.shift()!();
  assert.equal((await one).changed, true);
  while (waiting.length === 0) await new Promise(setImmediate);
  waiting.shift()!();
  assert.equal((await two).changed, true);
  assert.deepEqual([entries.length, decides(policies)], [2, 'allow']);
});

test('a relay.yaml that changed is told: the rest of it waits for the next start', async () => {
  const { policies } = start();
  writeFileSync(yaml, 'dataDir: elsewhere\n');
  const { changed, warnings } = await policies.reload();
  assert.equal(changed, false);
  assert.match(warnings.join(), /relay\.yaml has changed: that takes effect at the next start/);
});

const answer = { changed: true, digest: 'd', files: ['f'], policies: 1, sessionsEnded: 0, warnings: [] };

const actions = (reload: ControlActions['reload']): ControlActions => ({
  reload,
  rotateLogKey: () => Promise.reject(new Error('not asked for')),
  erase: () => Promise.reject(new Error('not asked for')),
  placeHold: () => Promise.reject(new Error('not asked for')),
  releaseHold: () => Promise.reject(new Error('not asked for')),
  breakGlass: () => Promise.reject(new Error('not asked for')),
});

test('the control socket: its owner’s alone, answers, and is gone afterwards', async () => {
  const dataDir = mkdtempSync(path.join(directory, 'data-'));
  await assert.rejects(askReload(dataDir), { code: 'relay-not-running' });
  const server = await serveControl(
    dataDir,
    actions(() => Promise.resolve(answer)),
  );
  assert.equal(statSync(controlSocket(dataDir)).mode & 0o777, 0o600);
  assert.deepEqual(await askReload(dataDir), answer);
  await assert.rejects(
    serveControl(
      dataDir,
      actions(() => Promise.reject(new Error())),
    ),
    { code: 'relay-control-taken' },
  );
  assert.deepEqual(await askReload(dataDir), answer);
  await server!.close();
  assert.equal(existsSync(controlSocket(dataDir)), false);
  await assert.rejects(askReload(dataDir), { code: 'relay-not-running' });
});

test('a socket that a killed relay left is replaced', async () => {
  const dataDir = mkdtempSync(path.join(directory, 'data-'));
  const listenAndDie = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  const { signal } = spawnSync(process.execPath, ['-e', listenAndDie, controlSocket(dataDir)]);
  assert.deepEqual([signal, existsSync(controlSocket(dataDir))], ['SIGKILL', true]);
  const server = await serveControl(
    dataDir,
    actions(() => Promise.resolve(answer)),
  );
  assert.deepEqual(await askReload(dataDir), answer);
  await server!.close();
});

const failing = () => Promise.reject(new Error('secret text'));

test('a refusal is the relay’s own; a fault of it shows nothing; other requests do nothing', async () => {
  const dataDir = mkdtempSync(path.join(directory, 'data-'));
  const { policies } = start();
  let reload: () => Promise<typeof answer> = failing;
  let asked = 0;
  const server = await serveControl(
    dataDir,
    actions(() => {
      asked++;
      return reload();
    }),
  );
  await assert.rejects(askReload(dataDir), (error: Error) => {
    assert.match(error.message, /the relay failed; its log says more \(internal\)/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  writeFileSync(first, 'permit;\nforbid;');
  reload = async () => {
    const reloaded = await policies.reload();
    return { ...answer, changed: reloaded.changed };
  };
  await assert.rejects(askReload(dataDir), {
    code: 'reload-refused',
    message: /the relay keeps its policies: .*a\.cedar:1:7.*\(policy-invalid\)/,
    hint: /a\.cedar:1:7.*; .*a\.cedar:2:7/,
  });
  const before = asked;
  for (const line of ['{"v":1,"do":"stop"}\n', 'reload\n', '{"v":1,"do":"reload","x":1}\n']) {
    const socket = net.connect(controlSocket(dataDir));
    socket.write(line);
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    assert.match(Buffer.concat(parts).toString(), /^\{"refused":/);
  }
  assert.equal(asked, before);
  await server!.close();
});

test('a data directory whose name is too long for a socket: none, and no failure', async () => {
  const dataDir = path.join(directory, 'x'.repeat(100));
  mkdirSync(dataDir);
  assert.equal(
    await serveControl(
      dataDir,
      actions(() => Promise.resolve(answer)),
    ),
    null,
  );
  await assert.rejects(askReload(dataDir), { code: 'relay-not-running' });
});
