/** The same tests on SQLite and on a real PostgreSQL: what one does the other does. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unknownAuthentication, type Authentication } from '../../../src/model/authentication.ts';
import { generateLoginKey, importLoginKey } from '../../../src/identity/login-key.ts';
import type { LoginId, SessionId, TargetName } from '../../../src/model/ids.ts';
import type { Principal } from '../../../src/model/principal.ts';
import type { LoginEntry } from '../../../src/relay/state/logins.ts';
import { State } from '../../../src/relay/state/state.ts';
import type { Clock } from '../../../src/system/clock.ts';
import { ulid } from '../../../src/system/ulid.ts';
import { postgresMissing, startPostgres, type PostgresServer } from '../../support/postgres.ts';

class TestClock implements Clock {
  nowMs = 1_800_000_000_000;
  wallMs(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
}

const ana: Principal = {
  kind: 'person',
  issuer: 'https://issuer.example',
  subject: 'ana',
  email: 'ana@example.com',
  groups: ['a', 'b'],
  actsFor: null,
};
const key = await importLoginKey(await generateLoginKey());
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-state-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const newLogin = (clock: Clock, principal = ana) => {
  const id = ulid(clock.wallMs()) as LoginId;
  const { kind, issuer, subject, email, groups } = principal;
  const entry: LoginEntry = {
    kind: 'login',
    actor: { kind, issuer, subject, email },
    login: id,
    renews: null,
    groups: [...groups],
    method: 'device-code',
    key: key.publicJwk,
    thumbprint: key.jkt,
    binding: 'bound-by-relay',
    idTokenDigest: '0'.repeat(64),
  };
  const validUntilMs = clock.wallMs() + 900_000;
  const authentication = unknownAuthentication;
  return { id, principal, jkt: key.jkt, publicJwk: key.publicJwk, authentication, validUntilMs, entry };
};

const newSession = (clock: Clock, login: LoginId, processId: string) => ({
  id: ulid(clock.wallMs()) as SessionId,
  login,
  target: 'db-prod' as TargetName,
  processId,
  reason: null,
  task: 'task 1',
  openedAtMs: clock.wallMs(),
  deadlineMs: clock.wallMs() + 3_600_000,
});

/** Starts that many processes that open the state at the same moment. */
async function openAtOnce(location: string, processes: number): Promise<void> {
  const script = path.join(import.meta.dirname, 'open-state.ts');
  const children = Array.from({ length: processes }, () => fork(script, [location], { stdio: 'inherit' }));
  const exits = children.map((child) => once(child, 'exit'));
  await Promise.all(children.map((child) => once(child, 'message')));
  for (const child of children) child.send('go');
  for (const exit of exits) assert.deepEqual(await exit, [0, null]);
}

function contract(locate: () => string): void {
  const clock = new TestClock();
  let state: State;
  let twin: State;
  before(async () => {
    await openAtOnce(locate(), 4);
    state = await State.open(locate(), { clock });
    twin = await State.open(locate(), { clock });
  });
  after(async () => {
    await state.close();
    await twin.close();
  });

  test('users: one per address, whatever its case; groups sorted and single', async () => {
    const user = await state.users.add('Ana@Example.com', ['b', 'a', 'b'], 'hash-1');
    assert.ok(user);
    assert.equal(await twin.users.add('ANA@example.com', [], 'hash-2'), null);
    assert.deepEqual(await twin.users.byEmail('ana@EXAMPLE.com'), {
      id: user.id,
      email: 'ana@example.com',
      groups: ['a', 'b'],
      disabled: false,
      createdAtMs: clock.nowMs,
    });
    assert.ok(await state.users.setDisabled(user.id, true));
    assert.ok(await state.users.setPasswordHash(user.id, 'hash-3'));
    const stored = await state.users.credentialsOf('ana@example.com');
    assert.equal(stored?.passwordHash, 'hash-3');
    assert.equal(stored.user.disabled, true);
    assert.ok(await state.users.remove(user.id));
    assert.equal(await state.users.remove(user.id), false);
    assert.equal(await state.users.byId(user.id), null);
  });

  test('a value is text, whatever it holds', async () => {
    const groups = [`'; drop table users; --`, 'ünï 🙂', '"\\'];
    const user = await state.users.add('sql@example.com', groups, 'h');
    assert.deepEqual((await twin.users.byId(user!.id))?.groups, groups.toSorted());
  });

  test('what is used once is used once, over connections and at the same time', async () => {
    const uses = Array.from({ length: 20 }, (_, i) =>
      (i % 2 ? state : twin).replay.firstUse('id-1', clock.nowMs + 1000),
    );
    assert.equal((await Promise.all(uses)).filter(Boolean).length, 1);
    assert.equal(await state.replay.firstUse('id-2', clock.nowMs + 1000), true);
    clock.nowMs += 2000;
    await state.sweep();
    assert.equal(await state.replay.firstUse('id-1', clock.nowMs + 1000), true);
  });

  test('attempts are counted in windows, none is lost', async () => {
    const counts = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? state : twin).attempts.count('key', 60_000)),
    );
    assert.deepEqual(
      counts.map(({ count }) => count).toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    clock.nowMs += 20_000;
    assert.deepEqual(await state.attempts.count('key', 60_000), { count: 21, resetInMs: 40_000 });
    await state.attempts.forgive('key');
    assert.equal((await state.attempts.count('key', 60_000)).count, 21);
    clock.nowMs += 40_000;
    assert.deepEqual(await state.attempts.count('key', 60_000), { count: 1, resetInMs: 60_000 });
    await state.attempts.clear('key');
    await state.attempts.forgive('key');
    assert.equal((await state.attempts.count('key', 60_000)).count, 1);
  });

  test('an artefact is found until it expires, consumed by one, and goes with its grant or account', async () => {
    const put = (id: string, more = {}) =>
      state.artefacts.put({
        model: 'DeviceCode',
        id,
        payload: { n: 1, deep: { text: 'é' } },
        grantId: 'g',
        accountId: 'acc',
        userCode: `code-${id}`,
        uid: null,
        expiresAtMs: clock.nowMs + 1000,
        ...more,
      });
    await put('a');
    const found = await twin.artefacts.find('DeviceCode', 'user_code', 'code-a');
    assert.deepEqual(found, { id: 'a', payload: { n: 1, deep: { text: 'é' } }, consumedAtMs: null });
    assert.equal(await state.artefacts.find('Session', 'id', 'a'), null);
    const consumed = await Promise.all(
      [state, twin, state, twin].map(({ artefacts }) => artefacts.consume('DeviceCode', 'a')),
    );
    assert.equal(consumed.filter(Boolean).length, 1);
    await put('a', { payload: { n: 2 } });
    assert.deepEqual((await state.artefacts.find('DeviceCode', 'id', 'a'))?.consumedAtMs, clock.nowMs);
    await put('b');
    await put('c', { grantId: 'other' });
    await put('d', { grantId: null, accountId: null });
    await state.artefacts.removeGrant('g');
    assert.equal(await state.artefacts.find('DeviceCode', 'id', 'b'), null);
    assert.ok(await state.artefacts.find('DeviceCode', 'id', 'c'));
    await state.artefacts.removeAccount('acc');
    assert.equal(await state.artefacts.find('DeviceCode', 'id', 'c'), null);
    clock.nowMs += 1000;
    assert.equal(await state.artefacts.find('DeviceCode', 'id', 'd'), null);
  });

  test('a login lives until it ends or is not renewed in time; a renewal is for the same principal and key', async () => {
    const login = newLogin(clock);
    assert.equal(await state.logins.entryOf(login.id), null);
    await state.logins.open(login);
    assert.deepEqual(await state.logins.entryOf(login.id), login.entry);
    await state.logins.told(login.id, { ...login.entry, groups: ['later'] });
    assert.deepEqual((await state.logins.entryOf(login.id))?.groups, ['later']);
    assert.deepEqual(await twin.logins.findLive(login.id), {
      principal: ana,
      jkt: key.jkt,
      publicJwk: key.publicJwk,
      scope: null,
      authentication: unknownAuthentication,
    });
    const until = clock.nowMs + 1_800_000;
    const renew = (
      principal: Principal,
      jkt: string,
      untilMs: number,
      authentication: Authentication = unknownAuthentication,
    ) => state.logins.renew(login.id, { principal, jkt, authentication }, untilMs);
    const later = { timeMs: clock.nowMs, acr: 'urn:mfa', amr: ['pwd', 'otp'] };
    for (const other of [
      { ...ana, subject: 'ben' },
      { ...ana, issuer: 'https://other.example' },
    ])
      assert.equal(await renew(other, key.jkt, until), false);
    assert.equal(await renew(ana, 'another', until), false);
    assert.equal(await renew({ ...ana, groups: ['c'] }, key.jkt, until, later), true);
    assert.deepEqual((await state.logins.findLive(login.id))?.principal.groups, ['c']);
    assert.deepEqual((await twin.logins.findLive(login.id))?.authentication, later);
    clock.nowMs = until - 1;
    assert.ok(await state.logins.findLive(login.id));
    clock.nowMs = until;
    assert.equal(await state.logins.findLive(login.id), null);
    assert.equal(await renew(ana, key.jkt, until + 1000), false);
  });

  test('all logins of one principal end together, and nobody else’s', async () => {
    const mine = [newLogin(clock), newLogin(clock)];
    const others = [
      newLogin(clock, { ...ana, subject: 'ben' }),
      newLogin(clock, { ...ana, issuer: 'https://other.example' }),
    ];
    for (const login of [...mine, ...others]) await state.logins.open(login);
    assert.ok((await twin.logins.endAllOf(ana.issuer, ana.subject, 'user-removed')) >= 2);
    for (const { id } of mine) assert.equal(await state.logins.findLive(id), null);
    for (const { id } of others) assert.ok(await state.logins.findLive(id));
    assert.equal(await state.logins.end(mine[0]!.id, 'logout'), false);
  });

  test('a process is told which of its sessions must end: killed, or of a login that no longer lives', async () => {
    const [stays, ends, lapses] = [
      newLogin(clock),
      newLogin(clock),
      { ...newLogin(clock), validUntilMs: clock.nowMs + 10 },
    ];
    for (const login of [stays, ends, lapses]) await state.logins.open(login);
    const process = `process-${ulid(clock.nowMs)}`;
    const sessions = [stays, stays, ends, lapses].map(({ id }) => newSession(clock, id, process));
    for (const session of sessions) await state.sessions.open(session);
    const elsewhere = newSession(clock, stays.id, 'another process');
    await state.sessions.open(elsewhere);
    assert.deepEqual(await twin.sessions.due(process), []);
    const [, killed, ended, lapsed] = sessions.map(({ id }) => id);
    assert.equal(await twin.sessions.requestKill(killed!, 'a.b.c', ends.id), true);
    assert.equal(await twin.sessions.requestKill(killed!, 'd.e.f', ends.id), false);
    assert.equal(await twin.sessions.requestKill(elsewhere.id, 'a.b.c', ends.id), true);
    await twin.logins.end(ends.id, 'logout');
    clock.nowMs += 10;
    const due = (await state.sessions.due(process)).toSorted((a, b) => (a.session < b.session ? -1 : 1));
    assert.deepEqual(
      due,
      [
        { session: killed, why: 'killed', request: 'a.b.c', login: ends.id },
        { session: ended, why: 'access-ended' },
        { session: lapsed, why: 'access-ended' },
      ].toSorted((a, b) => (a.session! < b.session! ? -1 : 1)),
    );
    assert.equal(await state.sessions.close(killed!, 'killed'), true);
    assert.equal(await state.sessions.close(killed!, 'ended'), false);
    assert.equal(await state.sessions.requestKill(killed!, 'x.y.z', ends.id), false);
    assert.deepEqual(
      (await state.sessions.due(process)).map(({ session }) => session).toSorted(),
      [ended!, lapsed!].toSorted(),
    );
    const found = await state.sessions.find(killed!);
    assert.equal(found?.outcome, 'killed');
    assert.deepEqual(found.principal, ana);
    assert.equal((await state.sessions.live(process)).length, 3);
    assert.ok((await state.sessions.live()).some(({ id }) => id === elsewhere.id));
  });

  test('a process is told how the people of its sessions stand, when that has changed', async () => {
    const login = newLogin(clock);
    await state.logins.open(login);
    const process = `process-${ulid(clock.nowMs)}`;
    const session = newSession(clock, login.id, process);
    await state.sessions.open(session);
    const first = (await twin.sessions.standings(process, () => null)).get(session.id);
    assert.deepEqual([first?.principal, first?.authentication], [ana, login.authentication]);
    const since = first!.renewedAtMs;
    assert.equal((await state.sessions.standings(process, () => since)).size, 0);
    clock.nowMs += 1;
    const principal = { ...ana, groups: ['other'] };
    assert.ok(await twin.logins.renew(login.id, { ...login, principal }, login.validUntilMs + 1000));
    const second = (await state.sessions.standings(process, () => since)).get(session.id);
    assert.deepEqual(second?.principal.groups, ['other']);
    await state.sessions.close(session.id, 'ended');
    assert.equal((await state.sessions.standings(process, () => null)).size, 0);
  });

  test('what an operator ends is over at once, told by one process, and told again when that one died', async () => {
    const operator = { account: 'root', reason: 'laptop stolen' };
    const [one, other] = [newLogin(clock), newLogin(clock)];
    for (const login of [one, other]) await state.logins.open(login);
    assert.ok((await twin.logins.live()).some(({ id }) => id === one.id));
    assert.equal(await twin.logins.endByOperator(one.id, operator), true);
    assert.equal(await twin.logins.endByOperator(one.id, operator), false);
    assert.equal(await state.logins.findLive(one.id), null);
    assert.ok((await twin.logins.live(ana)).every(({ id }) => id !== one.id));
    assert.equal(await state.logins.isRevokedKey(key.jkt), true);
    assert.equal(await state.logins.isRevokedKey('another key'), false);
    const taken = (await Promise.all([state.logins.takeUntold(), twin.logins.takeUntold()])).flat();
    const mine = taken.filter(({ id }) => id === one.id);
    assert.deepEqual(mine, [{ id: one.id, reason: 'revoked', operator }]);
    await state.logins.untellTaken();
    assert.equal((await twin.logins.takeUntold()).filter(({ id }) => id === one.id).length, 1);
    await twin.logins.endTold(one.id, false);
    assert.equal((await state.logins.takeUntold()).filter(({ id }) => id === one.id).length, 1);
    for (const { id } of taken) await state.logins.endTold(id, true);
    assert.equal((await twin.logins.takeUntold()).filter(({ id }) => id === one.id).length, 0);

    const process = `process-${ulid(clock.nowMs)}`;
    const session = newSession(clock, other.id, process);
    await state.sessions.open(session);
    assert.equal(await twin.sessions.requestKillByOperator(session.id, operator), true);
    assert.equal(await twin.sessions.requestKillByOperator(session.id, operator), false);
    assert.deepEqual(await state.sessions.due(process), [{ session: session.id, why: 'killed', operator }]);
    await state.sessions.closeInterrupted([session.id]);
    assert.equal((await twin.sessions.find(session.id))?.outcome, 'interrupted');
  });

  test('settings are shared', async () => {
    assert.equal(await state.settings.get('name'), null);
    await state.settings.set('name', 'one');
    await twin.settings.set('name', 'two');
    assert.equal(await state.settings.get('name'), 'two');
  });

  test('sweeping removes what is old, and nothing that still counts', async () => {
    const login = newLogin(clock);
    await state.logins.open(login);
    const session = newSession(clock, login.id, 'p');
    await state.sessions.open(session);
    clock.nowMs += 40 * 86_400_000;
    await state.sweep();
    assert.ok(await state.sessions.find(session.id), 'it was never closed');
    await state.sessions.close(session.id, 'interrupted');
    clock.nowMs += 40 * 86_400_000;
    await state.sweep();
    await state.sweep();
    assert.equal(await state.sessions.find(session.id), null);
  });

  test('it answers while it is open', async () => {
    assert.equal(await state.ready(), true);
  });
}

describe('on SQLite', () => {
  const file = path.join(directory, 'nested', 'state.sqlite');
  contract(() => file);

  test('file and directory are for their owner alone, the write-ahead log too', async () => {
    const state = await State.open(file);
    await state.settings.set('a', 'b');
    assert.equal(statSync(path.dirname(file)).mode & 0o777, 0o700);
    for (const name of [file, `${file}-wal`, `${file}-shm`]) assert.equal(statSync(name).mode & 0o777, 0o600);
    await state.close();
    assert.equal(await state.ready(), false);
  });

  test('a state of a newer version is refused and left as it is', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    const newer = path.join(directory, 'newer.sqlite');
    await (await State.open(newer)).close();
    const database = new DatabaseSync(newer);
    database.exec(`insert into migrations values ('9999-later', 0)`);
    const migrations = () => database.prepare('select name from migrations order by name').all();
    const before = migrations();
    await assert.rejects(State.open(newer), { code: 'state-too-new' });
    assert.deepEqual(migrations(), before);
    database.close();
  });

  test('what is no state is refused', async () => {
    await assert.rejects(State.open(''), { code: 'state-location-invalid' });
    await assert.rejects(State.open('mysql://localhost/x'), { code: 'state-location-invalid' });
    await assert.rejects(State.open('/dev/null/state.sqlite'), { code: 'state-unavailable' });
  });
});

describe('on PostgreSQL', { skip: postgresMissing }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());
  contract(() => server.url());

  test('a wrong password says no more than that it cannot be opened', async () => {
    const url = server.url().replace(/:[^:@]+@/, ':wrong-secret@');
    await assert.rejects(State.open(url), (error: Error) => {
      assert.ok(!error.message.includes('wrong-secret'));
      return 'code' in error && error.code === 'state-unavailable';
    });
  });
});
