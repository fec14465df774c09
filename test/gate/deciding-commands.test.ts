/** What policy forbids, and what people have to look at first: in which order it is recorded, told and let go. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ConnectionGate, FinalVerdict, ReviewListener } from '../../src/gate/gate.ts';
import type { Recorder } from '../../src/gate/recorder.ts';
import type { HeldCommand, HeldListener, Reviews } from '../../src/gate/reviews.ts';
import { SessionGate, type BlockedCommand, type SessionGateOptions } from '../../src/gate/session-gate.ts';
import type { CommandFacts, Effect } from '../../src/model/command-facts.ts';
import { decideBy, permitAll } from './deciding.ts';

const held = `@id("deletes") @review("leads:2") forbid (principal, action == Action::"execute", resource)
  when { context.effects.contains("delete") };\n`;
const stricter = held.replace('leads:2', 'leads:2, security');
const forbidden = held.replace('@review("leads:2")', '');

const factsOf = (...effects: Effect[]): CommandFacts => ({
  effects,
  relations: [],
  functions: [],
  programs: [],
});
const reads = factsOf('read');
const deletes = factsOf('delete');
const text = Buffer.from('delete from t');

function gateWith(cedar: string, overrides: Partial<SessionGateOptions> = {}) {
  const events: string[] = [];
  const asked: { held: HeldCommand; listener: HeldListener }[] = [];
  const blocked: { entry: BlockedCommand; durable: PromiseWithResolvers<void> }[] = [];
  const scheduled: (() => void)[] = [];
  const failures: Error[] = [];
  let decide = decideBy(cedar);
  const recorder: Recorder = {
    connectionOpened: () => undefined,
    connectionClosed: () => undefined,
    statement: () => undefined,
    statementText: () => text,
    forgetStatement: () => undefined,
    command: (_connection, command, _text, _parameters, verdict, _facts, review) =>
      void events.push(`record ${command} ${verdict} ${review}`),
    input: () => undefined,
    output: () => undefined,
    errorOutput: () => undefined,
    resize: () => undefined,
    origin: () => undefined,
    redaction: () => undefined,
    rowRedactions: () => undefined,
    outcome: () => undefined,
    flush: () => void events.push('flush'),
    sync: () => Promise.resolve(),
  };
  const reviews: Reviews = {
    request: (command, listener) => {
      asked.push({ held: command, listener });
      return { withdraw: (why) => void events.push(`withdraw ${why}`) };
    },
  };
  const gate = new SessionGate({
    recorder,
    quoting: null,
    masking: null,
    decide: (facts) => decide(facts),
    reviews,
    blocked: (entry) => {
      const durable = Promise.withResolvers<void>();
      blocked.push({ entry, durable });
      events.push(`blocked ${entry.command} ${entry.policies.join()}`);
      return durable.promise;
    },
    durability: 'process',
    nowMs: () => 0,
    tally: {
      commands: { succeeded: 0, failed: 0, blocked: 0, cancelled: 0, unknown: 0 },
      bytesToClient: 0,
      bytesToTarget: 0,
      recorderFlushes: 0,
      recorderFlushSeconds: 0,
    },
    schedule: (flush) => scheduled.push(flush),
    onFailure: (error) => failures.push(error),
    onMaskingFailure: (error) => failures.push(error),
    onReleased: () => undefined,
    ...overrides,
  });
  const listener: ReviewListener = {
    held: ({ review }) => void events.push(`told ${review}`),
    decided: (verdict: FinalVerdict) =>
      void events.push(`decided ${verdict.kind} ${verdict.kind === 'deny' ? verdict.hint : ''}`.trim()),
  };
  const releasable = (name: string) => ({
    stage: () => void events.push(`stage ${name}`),
    release: () => void events.push(`release ${name}`),
  });
  const tick = () => scheduled.splice(0).forEach((flush) => flush());
  const reload = (now: string) => (decide = decideBy(now));
  return { gate, events, asked, blocked, failures, listener, releasable, tick, reload };
}

/** Command 1 of a new connection has the verdict `review`, and people are asked. */
function holding(played: ReturnType<typeof gateWith>, words: Uint8Array | number = text): ConnectionGate {
  const connection = played.gate.connection();
  const given = { command: connection.nextCommand(), text: words, parameters: null, facts: deletes };
  assert.deepEqual(connection.command(given.command, words, null, deletes), { kind: 'review' });
  assert.deepEqual(played.events, [], 'nothing is recorded before it is decided');
  connection.review(given, played.listener);
  return connection;
}

test('what policy forbids is denied with its policies; nobody hears of it before the log has it', async () => {
  const { gate, events, blocked, releasable, tick } = gateWith(permitAll + forbidden);
  const connection = gate.connection();
  const a = releasable('a');
  connection.whenRecorded(a);
  const verdict = connection.command(connection.nextCommand(), text, null, deletes);
  assert.deepEqual(verdict, {
    kind: 'deny',
    policies: ['deletes'],
    hint: 'Ask whoever keeps the policies; hoop policy check explains them.',
  });
  connection.whenRecorded(a);
  const other = gate.connection();
  other.whenRecorded(releasable('b'));
  tick();
  assert.deepEqual(events, ['record 1 deny null', 'blocked 1 deletes', 'flush', 'stage b', 'release b']);
  assert.deepEqual(blocked[0]!.entry.text, text);
  blocked[0]!.durable.resolve();
  await nextTurn();
  tick();
  assert.deepEqual(events.slice(5), ['flush', 'stage a', 'release a']);
});

test('a denial that the log does not take ends the session', async () => {
  const { gate, blocked, events, failures, releasable, tick } = gateWith(permitAll + forbidden);
  const connection = gate.connection();
  connection.command(connection.nextCommand(), text, null, deletes);
  connection.whenRecorded(releasable('a'));
  blocked[0]!.durable.reject(new Error('disk full'));
  await nextTurn();
  tick();
  assert.equal(failures[0]?.message, 'disk full');
  assert.ok(!events.some((event) => event.startsWith('release')));
});

test('no policy permits it: denied, and the hint says so', () => {
  const { gate } = gateWith('');
  const verdict = gate.connection().command(1, text, null, reads);
  assert.ok(verdict.kind === 'deny' && verdict.policies.length === 0 && verdict.hint !== null);
  assert.match(verdict.hint, /No policy permits it/);
});

test('approved: recorded with its review, then let go', () => {
  const played = gateWith(permitAll + held);
  holding(played);
  const [{ held: shown, listener }] = played.asked as [(typeof played.asked)[number]];
  assert.deepEqual(
    [shown.command, shown.text, shown.policies, shown.needed, shown.facts],
    [1, text, ['deletes'], [{ group: 'leads', count: 2 }], deletes],
  );
  listener.held({ review: 'R', needed: [], expiresAtMs: 0 });
  listener.decided({ approved: true, policies: [], hint: null, review: 'R' });
  assert.deepEqual(played.events, ['told R', 'record 1 allow R', 'decided allow']);
});

test('rejected: recorded as denied; the log has the decision and needs no other entry', () => {
  const played = gateWith(permitAll + held);
  holding(played);
  played.asked[0]!.listener.decided({
    approved: false,
    policies: ['deletes'],
    hint: 'not today',
    review: 'R',
  });
  assert.deepEqual(played.events, ['record 1 deny R', 'decided deny not today']);
});

test('refused before anybody was asked: like what policy forbids', () => {
  const played = gateWith(permitAll + held);
  holding(played);
  played.asked[0]!.listener.decided({
    approved: false,
    policies: ['deletes'],
    hint: 'too many',
    review: null,
  });
  assert.deepEqual(played.events, ['record 1 deny null', 'blocked 1 deletes', 'decided deny too many']);
});

test('an approval without a review is none', () => {
  const played = gateWith(permitAll + held);
  holding(played);
  played.asked[0]!.listener.decided({ approved: true, policies: [], hint: null, review: null });
  assert.equal(played.events[0], 'record 1 deny null');
});

for (const [now, hint] of [
  [permitAll + forbidden, 'Ask whoever keeps'],
  ['', 'No policy permits it'],
  [permitAll + stricter, 'The policies have changed'],
] as const) {
  test(`policies that changed while it waited count: ${hint}`, () => {
    const played = gateWith(permitAll + held);
    holding(played);
    played.reload(now);
    played.asked[0]!.listener.decided({ approved: true, policies: [], hint: null, review: 'R' });
    assert.match(played.events.join('\n'), new RegExp(`^record 1 deny R\nblocked 1.*\ndecided deny ${hint}`));
  });
}

test('withdrawn: recorded as not let go, and nothing is heard any more', () => {
  const played = gateWith(permitAll + held);
  const connection = holding(played);
  const { listener } = played.asked[0]!;
  listener.held({ review: 'R', needed: [], expiresAtMs: 0 });
  connection.withdraw(1, 'cancelled');
  connection.withdraw(1, 'disconnected');
  listener.held({ review: 'R', needed: [], expiresAtMs: 0 });
  listener.decided({ approved: true, policies: [], hint: null, review: 'R' });
  assert.deepEqual(played.events, ['told R', 'withdraw cancelled', 'record 1 deny R']);
});

test('nobody can be asked, or the text is too long to be read: denied', async () => {
  const nobody = gateWith(permitAll + held, { reviews: null });
  holding(nobody);
  await nextTurn();
  assert.match(nobody.events.at(-1)!, /^decided deny It needs a review, and nobody can be asked/);

  const long = gateWith(permitAll + held);
  long.gate.recorder.statementText = () => ({ bytes: 1e6, sha256: Buffer.alloc(32) });
  const connection = long.gate.connection();
  const statement = connection.statement(text, [25], deletes);
  assert.equal(connection.command(1, statement, null, null).kind, 'review');
  connection.review({ command: 1, text: statement, parameters: null, facts: null }, long.listener);
  await nextTurn();
  assert.match(long.events.at(-1)!, /^decided deny It needs a review, and is too long/);
});

test('a prepared statement is shown with its text and the types of its parameters', () => {
  const { gate, asked, listener } = gateWith(permitAll + held);
  const connection = gate.connection();
  connection.opened({ parameters: { client_encoding: 'LATIN1' }, serverVersion: null });
  const statement = connection.statement(text, [25], deletes);
  for (let more = 0; more < 3; more++) connection.statement(Buffer.from('select 1'), [], reads);
  const parameters = Buffer.from([0, 0, 0, 0]);
  assert.equal(connection.command(1, statement, parameters, null).kind, 'review');
  connection.review({ command: 1, text: statement, parameters, facts: null }, listener);
  const shown = asked[0]!.held;
  assert.deepEqual(
    [shown.text, shown.parameters, shown.parameterTypes, shown.encoding, shown.facts],
    [text, parameters, [25], 'LATIN1', deletes],
  );
});

test('people see what is recorded: literals masked', () => {
  const quoting = {
    text: () => Buffer.from('delete ***'),
    parameters: () => Buffer.from('***'),
  };
  const { gate, asked, listener } = gateWith(permitAll + held, { quoting });
  const connection = gate.connection();
  const given = { command: 1, text, parameters: Buffer.from('secret'), facts: deletes };
  connection.command(1, text, given.parameters, deletes);
  connection.review(given, listener);
  assert.deepEqual(
    [asked[0]!.held.text.toString(), asked[0]!.held.parameters?.toString()],
    ['delete ***', '***'],
  );
});
