/** The order that gate.ts states: decide, record, write, release; and nothing at all once recording has failed. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { unknownFacts } from '../../src/model/command-facts.ts';
import { SessionGate } from '../../src/gate/session-gate.ts';
import { decideBy, permitAll } from './deciding.ts';
import type { Recorder } from '../../src/gate/recorder.ts';

const decide = decideBy(permitAll);

/** Notes every call in `events`; fails where told to. */
function scriptedRecorder(events: string[], failing: Set<string> = new Set()) {
  const syncs: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const note = (name: string) => {
    if (failing.has(name)) throw new Error(`${name} failed`);
    events.push(name);
  };
  const recorder: Recorder = {
    connectionOpened: (connection) => note(`opened ${connection}`),
    connectionClosed: (connection, reason) => note(`closed ${connection} ${reason}`),
    statement: (connection, statement) => note(`statement ${connection} ${statement}`),
    statementText: () => text,
    forgetStatement: (statement) => note(`forget ${statement}`),
    redaction: (connection, command) => note(`redaction ${connection} ${command}`),
    command: (connection, command) => note(`command ${connection} ${command}`),
    input: (connection, command) => note(`input ${connection} ${command}`),
    output: (connection, command) => note(`output ${connection} ${command}`),
    errorOutput: (connection, command) => note(`error-output ${connection} ${command}`),
    resize: (connection, command) => note(`resize ${connection} ${command}`),
    origin: (connection, command) => note(`origin ${connection} ${command}`),
    rowRedactions: () => undefined,
    outcome: (connection, command, outcome) => note(`outcome ${connection} ${command} ${outcome.kind}`),
    flush: () => note('flush'),
    sync: () => new Promise<void>((resolve, reject) => syncs.push({ resolve, reject })),
  };
  return { recorder, syncs };
}

function gateWith(durability: 'process' | 'disk', failing?: Set<string>) {
  const events: string[] = [];
  const scheduled: (() => void)[] = [];
  const failures: Error[] = [];
  const maskingFailures: Error[] = [];
  const tally = {
    commands: { succeeded: 0, failed: 0, blocked: 0, cancelled: 0, unknown: 0 },
    bytesToClient: 0,
    bytesToTarget: 0,
    recorderFlushes: 0,
    recorderFlushSeconds: 0,
  };
  const { recorder, syncs } = scriptedRecorder(events, failing);
  const gate = new SessionGate({
    recorder,
    durability,
    decide,
    quoting: null,
    reviews: null,
    blocked: () => Promise.resolve(),
    masking: null,
    nowMs: () => 0,
    tally,
    schedule: (flush) => scheduled.push(flush),
    onFailure: (error) => failures.push(error),
    onMaskingFailure: (error) => maskingFailures.push(error),
    onReleased: () => events.push('released'),
  });
  const releasable = (name: string) => ({
    stage: () => void events.push(`stage ${name}`),
    release: () => void events.push(`release ${name}`),
  });
  const tick = () => scheduled.splice(0).forEach((flush) => flush());
  return { gate, events, failures, maskingFailures, syncs, releasable, tick, scheduled };
}

const text = Buffer.from('select 1');

test('one write for all connections of a tick, then each is released once', () => {
  const { gate, events, releasable, tick } = gateWith('process');
  const [first, second] = [gate.connection(), gate.connection()];
  const [a, b] = [releasable('a'), releasable('b')];
  assert.deepEqual(first.command(first.nextCommand(), text, null, unknownFacts), { kind: 'allow' });
  first.whenRecorded(a);
  second.command(second.nextCommand(), text, null, unknownFacts);
  second.whenRecorded(b);
  second.whenRecorded(b);
  assert.deepEqual(events, ['command 1 1', 'command 2 2'], 'nothing is released before the write');
  tick();
  assert.deepEqual(events.slice(2), ['flush', 'stage a', 'stage b', 'release a', 'release b', 'released']);
  assert.deepEqual(gate.totals, { connections: 2, commands: 2 });
});

test('a failed write releases nothing, then or later, and is told once', () => {
  const { gate, events, failures, releasable, tick } = gateWith('process', new Set(['flush']));
  const connection = gate.connection();
  connection.command(connection.nextCommand(), text, null, unknownFacts);
  connection.whenRecorded(releasable('a'));
  tick();
  connection.whenRecorded(releasable('a'));
  tick();
  gate.flush();
  assert.deepEqual(events, ['command 1 1']);
  assert.equal(failures.length, 1);
});

test('masking that failed is told; what was recorded is released, and so is what is said last', () => {
  const { gate, events, failures, maskingFailures, releasable, tick } = gateWith('process');
  const connection = gate.connection();
  connection.output(1, Buffer.from('masked'));
  connection.whenRecorded(releasable('a'));
  connection.maskingFailed(new Error('a fault in a detector'));
  tick();
  assert.deepEqual(events.slice(1), ['flush', 'stage a', 'release a', 'released']);
  assert.deepEqual([failures.length, maskingFailures.length], [0, 1]);
  gate.stop();
  connection.maskingFailed(new Error('once more'));
  assert.equal(maskingFailures.length, 1, 'not after the end');
});

for (const [verb, use] of [
  ['command 1 1', (c: ReturnType<SessionGate['connection']>) => void c.command(1, text, null, unknownFacts)],
  ['output 1 1', (c: ReturnType<SessionGate['connection']>) => void c.output(1, Buffer.from('x'))],
  ['input 1 1', (c: ReturnType<SessionGate['connection']>) => c.input(1, Buffer.from('x'))],
  ['statement 1 1', (c: ReturnType<SessionGate['connection']>) => void c.statement(text, [], unknownFacts)],
  [
    'outcome 1 1 failed',
    (c: ReturnType<SessionGate['connection']>) =>
      c.outcome(1, { kind: 'failed', tag: null, rows: 0, errorCode: '22012' }),
  ],
] as const) {
  test(`whatever throws inside the gate ends the session: ${verb}`, () => {
    const { gate, events, failures, releasable, tick } = gateWith('process', new Set([verb]));
    const connection = gate.connection();
    use(connection);
    connection.whenRecorded(releasable('a'));
    tick();
    assert.deepEqual(events, []);
    assert.equal(failures[0]?.message, `${verb} failed`);
  });
}

test('durability disk: what arrives during a sync waits for its own', async () => {
  const { gate, events, syncs, releasable, tick } = gateWith('disk');
  const connection = gate.connection();
  connection.whenRecorded(releasable('a'));
  tick();
  connection.whenRecorded(releasable('b'));
  tick();
  assert.deepEqual(events, ['flush', 'stage a'], 'staged, not released; b not even staged');
  syncs[0]!.resolve();
  await Promise.resolve();
  assert.deepEqual(events.slice(2), ['release a', 'released'], 'what can be read by then joins b');
  tick();
  assert.deepEqual(events.slice(4), ['flush', 'stage b']);
  syncs[1]!.resolve();
  await Promise.resolve();
  assert.deepEqual(events.slice(6), ['release b', 'released']);
});

test('durability disk: a failed sync releases nothing', async () => {
  const { gate, events, failures, syncs, releasable, tick } = gateWith('disk');
  gate.connection().whenRecorded(releasable('a'));
  tick();
  syncs[0]!.reject(new Error('EIO'));
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(events, ['flush', 'stage a']);
  assert.equal(failures[0]?.message, 'EIO');
});

test('what a connection has prepared and not closed is forgotten with it', () => {
  const { gate, events } = gateWith('process');
  const [first, second] = [gate.connection(), gate.connection()];
  const prepared = [1, 2, 3, 4, 5].map(() => first.statement(text, [], unknownFacts));
  const others = second.statement(text, [], unknownFacts);
  first.forgetStatement(prepared[1]!);
  events.length = 0;
  first.closed('terminated');
  const forgotten = events.filter((event) => event.startsWith('forget')).toSorted();
  assert.deepEqual(
    forgotten,
    [1, 3, 4, 5].map((statement) => `forget ${statement}`),
  );
  assert.deepEqual(second.factsOf(others), unknownFacts);
});
