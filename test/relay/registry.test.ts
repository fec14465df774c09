/** Sessions of one process: the order in which they open, and every way in which access that cannot be checked ends. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unknownAuthentication } from '../../src/model/authentication.ts';
import { EvidenceError } from '../../src/evidence/error.ts';
import type { NewEntry } from '../../src/evidence/entry.ts';
import { Log } from '../../src/evidence/log/log.ts';
import { createSigner } from '../../src/evidence/log/key-file.ts';
import { Sealer } from '../../src/evidence/recording/sealer.ts';
import type { Authenticated } from '../../src/identity/authenticator.ts';
import { generateLoginKey, importLoginKey } from '../../src/identity/login-key.ts';
import { mintPrincipal } from '../../src/identity/verified-principal.ts';
import type { LoginId, SessionId } from '../../src/model/ids.ts';
import type { SessionEnd } from '../../src/model/outcome.ts';
import { Policies } from '../../src/policy/policies.ts';
import { parseConfig } from '../../src/relay/config/config.ts';
import { RelayError } from '../../src/relay/error.ts';
import { decimalOf, RecordedValues } from '../../src/protocols/postgres/recorded-values.ts';
import { SessionRegistry } from '../../src/relay/sessions/registry.ts';
import type { BreakGlassUse } from '../../src/relay/space/break-glass.ts';
import type { DueSession, Standing } from '../../src/relay/state/sessions.ts';
import { ulid } from '../../src/system/ulid.ts';

const directories: string[] = [];
after(() => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

const policy = `@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);`;

async function relay(groups: string[] = ['engineering'], more = '') {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-registry-'));
  directories.push(directory);
  const config = parseConfig(
    path.join(directory, 'relay.yaml'),
    'dataDir: .\ntargets: { db: { protocol: postgres, host: 127.0.0.1, database: app, user: app, tls: { mode: disable } } }\n' +
      more,
  );
  mkdirSync(config.evidence.directory, { recursive: true });
  const clock = {
    offsetMs: 0,
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now() + clock.offsetMs,
  };
  const signer = await createSigner(path.join(directory, 'log.key'), 'relay.test/log');
  const log = await Log.open({ directory: path.join(config.evidence.directory, 'log'), signer, clock });
  const happened: string[] = [];
  const script = {
    probe: async (): Promise<string> => 'PostgreSQL 15.0',
    due: async (): Promise<DueSession[]> => [],
    append: (entry: NewEntry) => log.append(entry),
    admit: (): BreakGlassUse | null => null,
    open: async (): Promise<void> => void happened.push('state'),
    standings: async (): Promise<ReadonlyMap<SessionId, Standing>> => new Map(),
  };
  const ended = Promise.withResolvers<SessionEnd>();
  const closed = Promise.withResolvers<void>();
  const append = async (entry: NewEntry) => {
    const appended = await script.append(entry);
    happened.push(entry.kind === 'session.closed' ? `closed: ${entry.outcome}` : entry.kind);
    if (entry.kind === 'session.closed') closed.resolve();
    return appended;
  };
  const registry = new SessionRegistry({
    config,
    append,
    clock,
    processId: 'one',
    policies: () => Policies.parse([{ name: 'p', text: policy }]),
    reviews: null,
    maskingKey: Buffer.alloc(32),
    sealer: new Sealer({ append }),
    room: { admit: () => script.admit(), used: () => void happened.push('used') },
    state: {
      open: () => script.open(),
      close: async (_session, why) => {
        happened.push(`state: ${why}`);
        return true;
      },
      due: () => script.due(),
      standings: () => script.standings(),
    },
    tally: {
      commands: { succeeded: 0, failed: 0, blocked: 0, cancelled: 0, unknown: 0 },
      bytesToClient: 0,
      bytesToTarget: 0,
      recorderFlushes: 0,
      recorderFlushSeconds: 0,
    },
    protocol: () => ({
      name: 'postgres',
      ssh: null,
      literals: { values: new RecordedValues(), decimalOf, input: 'copy-data' },
      probe: () => {
        happened.push('dial');
        return script.probe();
      },
      serve: () => assert.fail('no connection comes'),
      exec: null,
    }),
    observe: {
      blocked: () => undefined,
      opened: () => undefined,
      denied: () => happened.push('denied'),
      ending: (_session, why) => ended.resolve(why),
      trouble: () => undefined,
    },
  });
  const key = await importLoginKey(await generateLoginKey());
  const caller: Authenticated = {
    principal: mintPrincipal({
      kind: 'person',
      issuer: 'https://idp.test',
      subject: 'ana',
      email: null,
      groups,
    }),
    login: ulid(Date.now()) as LoginId,
    jkt: key.jkt,
    scope: null,
    publicJwk: key.publicJwk,
    authentication: unknownAuthentication,
  };
  const open = (target = 'db', durationSeconds = 60) =>
    registry.open({
      caller,
      claims: {
        v: 1,
        action: 'session.open',
        relay: config.publicUrl,
        target,
        durationSeconds,
        iat: 0,
        jti: 'x'.repeat(16),
      },
      request: 'a.b.c',
      sourceAddress: '127.0.0.1',
    });
  const close = async () => {
    await registry.endAll('relay-stopped');
    await log.close();
  };
  return { registry, open, happened, script, clock, ended: ended.promise, closed: closed.promise, close };
}

const refusedWith = (code: string) => (error: unknown) => error instanceof RelayError && error.code === code;

test('a session opens in the order of its evidence: log, state, dial', async () => {
  const { open, happened, close } = await relay();
  const { server, remainingMs } = await open();
  assert.equal(server, 'PostgreSQL 15.0');
  assert.ok(remainingMs <= 60_000);
  assert.deepEqual(happened, ['session.opened', 'state', 'dial']);
  await close();
  assert.equal(happened.at(-1), 'closed: relay-stopped');
});

test('without the log no session, and nothing is dialled', async () => {
  const { open, happened, script, close } = await relay();
  script.append = () => Promise.reject(new EvidenceError('log-write-failed', 'no space'));
  await assert.rejects(open(), refusedWith('evidence-unavailable'));
  assert.deepEqual(happened, []);
  await close();
});

test('without room for the record no session, unless break-glass lets it in, which the log says before the dial', async () => {
  const { open, happened, script, close } = await relay();
  script.admit = () => {
    throw new RelayError('evidence-unavailable', 'no room');
  };
  await assert.rejects(open(), refusedWith('evidence-unavailable'));
  assert.deepEqual(happened, []);
  script.admit = () => ({ breakGlass: ulid(Date.now()), remainingMs: 5000 });
  const { remainingMs } = await open();
  assert.ok(remainingMs <= 5000, 'it ends with break-glass');
  assert.deepEqual(happened, ['session.opened', 'break-glass.used', 'used', 'state', 'dial']);
  await close();
});

test('room that runs out while a session opens ends it, and nothing is dialled', async () => {
  const { open, happened, script, closed, close } = await relay();
  let asked = 0;
  script.admit = () => {
    if (++asked === 1) return null;
    throw new RelayError('evidence-unavailable', 'no room');
  };
  await assert.rejects(open(), refusedWith('evidence-unavailable'));
  await closed;
  assert.deepEqual(happened, ['session.opened', 'state: evidence-failed', 'closed: evidence-failed']);
  await close();
});

test('no group, no session; no target of that name, no session; nothing is dialled', async () => {
  const nobody = await relay([]);
  await assert.rejects(nobody.open(), refusedWith('connect-denied'));
  await assert.rejects(nobody.open('other'), refusedWith('target-unknown'));
  assert.deepEqual(nobody.happened, ['denied']);
  await nobody.close();
});

test('a target that does not answer: the session is closed, and the record says why', async () => {
  const { open, happened, script, closed, close, registry } = await relay();
  script.probe = () => Promise.reject(new RelayError('target-unreachable', 'no'));
  await assert.rejects(open(), refusedWith('target-unreachable'));
  await closed;
  assert.deepEqual(happened, [
    'session.opened',
    'state',
    'dial',
    'state: target-unreachable',
    'closed: target-unreachable',
  ]);
  assert.equal(registry.size, 0);
  await close();
});

test('a state store that does not answer for as long as a revocation may take ends live sessions', async () => {
  const { open, script, clock, ended, closed, close, happened } = await relay();
  await open();
  script.due = () => Promise.reject(new Error('gone'));
  clock.offsetMs += 6000;
  assert.equal(await ended, 'access-ended');
  await closed;
  assert.equal(happened.at(-1), 'closed: access-ended');
  await close();
});

test('a store that does not tell who is in which group is one that does not answer', async () => {
  const { open, script, clock, ended, closed, close } = await relay();
  await open();
  script.standings = () => Promise.reject(new Error('gone'));
  clock.offsetMs += 6000;
  assert.equal(await ended, 'access-ended');
  await closed;
  await close();
});

test('what another process asked for is done: a kill, a login that has ended', async () => {
  const { open, script, ended, close } = await relay();
  const { session } = await open();
  script.due = async () => [{ session: session.facts.id, why: 'access-ended' }];
  assert.equal(await ended, 'access-ended');
  await close();
});

test('the deadline ends the session by itself', async () => {
  const { open, ended, close } = await relay();
  await open('db', 1);
  assert.equal(await ended, 'deadline');
  await close();
});

test('a session that the log took while the relay began to drain is closed, and nothing is dialled', async () => {
  const { registry, open, happened, script, closed, close } = await relay();
  const { append } = script;
  script.append = (entry) => {
    registry.refuseNew();
    return append(entry);
  };
  await assert.rejects(open(), refusedWith('relay-draining'));
  await closed;
  assert.ok(!happened.includes('dial'));
  assert.equal(happened.at(-1), 'closed: relay-stopped');
  await close();
});

test('a session that ends before the store knows it leaves no live row, and nothing is dialled', async () => {
  const { registry, open, happened, script, close } = await relay();
  script.open = async () => {
    for (const session of registry.live) await session.end('killed');
    happened.push('state');
  };
  await assert.rejects(open(), refusedWith('session-unknown'));
  assert.ok(!happened.includes('dial'));
  assert.equal(happened.at(-1), 'state: killed');
  await close();
});

const nowIn = async (stage: Awaited<ReturnType<typeof relay>>, groups: string[]): Promise<void> => {
  const { registry, script } = stage;
  script.standings = async () =>
    new Map(
      [...registry.live].map(({ facts, authentication }) => [
        facts.id,
        { principal: { ...facts.authorization.principal, groups }, authentication, renewedAtMs: 0 },
      ]),
    );
  await registry.followLogins();
};

test('a person who is in other groups since: a session that they could not open any more ends', async () => {
  const stage = await relay(['engineering', 'other']);
  const { session } = await stage.open();
  await nowIn(stage, ['engineering']);
  assert.equal(session.ending, null);
  assert.deepEqual(session.principal.groups, ['engineering']);
  await nowIn(stage, ['other']);
  assert.equal(session.ending, 'access-ended');
  await stage.close();
});

test('a person who is no longer exempt from masking has no session that shows all', async () => {
  const masking =
    'masking: { rules: [{ name: people, detect: [email], exempt: { groups: [support] } }] }\nevidence: { seal: { discardOriginals: true } }\n';
  const stage = await relay(['engineering', 'support'], masking);
  const { session } = await stage.open();
  await nowIn(stage, ['engineering', 'more', 'support']);
  assert.equal(session.ending, null);
  await nowIn(stage, ['engineering', 'more']);
  assert.equal(session.ending, 'access-ended');
  await stage.close();
});

test('while the relay drains no session opens', async () => {
  const { registry, open, close } = await relay();
  registry.refuseNew();
  await assert.rejects(open(), refusedWith('relay-draining'));
  await registry.whenIdle();
  await close();
});
