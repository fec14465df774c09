import { test } from 'node:test';
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { drain, runUntilStopped } from '../../src/relay/drain.ts';
import type { DrainSteps } from '../../src/relay/drain.ts';
import { createLogger } from '../../src/relay/logging.ts';

const never = new AbortController().signal;

function steps(
  whenIdle: () => Promise<void>,
  failing: string[] = [],
): { steps: DrainSteps; order: string[] } {
  const order: string[] = [];
  const step = async (name: string): Promise<void> => {
    order.push(name);
    if (failing.includes(name)) throw new Error(name);
  };
  return {
    order,
    steps: {
      refuseNew: () => {
        order.push('refuse');
      },
      whenIdle,
      endSessions: () => step('end'),
      close: () => step('close'),
    },
  };
}

test('idle: refuse, wait, end, close, in that order', async () => {
  const { steps: given, order } = steps(async () => void order.push('idle'));
  assert.equal(await drain(given, 60_000, never), 'idle');
  assert.deepEqual(order, ['refuse', 'idle', 'end', 'close']);
});

const forever = () => new Promise<void>(() => undefined);

test('live sessions have until the bound, or until somebody hurries', async () => {
  const bound = steps(forever);
  assert.equal(await drain(bound.steps, 1, never), 'bound');
  assert.deepEqual(bound.order, ['refuse', 'end', 'close']);
  const hurried = steps(forever);
  const controller = new AbortController();
  const draining = drain(hurried.steps, 60_000, controller.signal);
  controller.abort();
  assert.equal(await draining, 'hurried');
  assert.deepEqual(hurried.order, ['refuse', 'end', 'close']);
  assert.equal(await drain(steps(forever).steps, 60_000, AbortSignal.abort()), 'hurried');
});

test('a step that fails stops no other step, and is told at the end', async () => {
  const { steps: given, order } = steps(async () => undefined, ['end']);
  await assert.rejects(drain(given, 60_000, never), (error: unknown) => {
    assert.ok(error instanceof AggregateError);
    assert.deepEqual(
      error.errors.map((each: unknown) => String(each)),
      ['Error: end'],
    );
    return true;
  });
  assert.deepEqual(order, ['refuse', 'end', 'close']);
});

const log = createLogger('error', { write: () => undefined });

test('SIGHUP reloads, the first signal stops, the second hurries, and no listener stays behind', async () => {
  const signals = new EventEmitter();
  const events: string[] = [];
  const running = runUntilStopped({
    log,
    signals,
    reload: () => {
      events.push('reload');
      return Promise.reject(new Error('told already'));
    },
    ended: new Promise(() => undefined),
    stop: (hurry) => {
      events.push('stop');
      return new Promise((resolve) =>
        hurry.addEventListener('abort', () => {
          events.push('hurry');
          resolve();
        }),
      );
    },
  });
  signals.emit('SIGHUP', 'SIGHUP');
  signals.emit('SIGHUP', 'SIGHUP');
  assert.deepEqual(events, ['reload', 'reload']);
  signals.emit('SIGTERM', 'SIGTERM');
  signals.emit('SIGHUP', 'SIGHUP');
  assert.deepEqual(events.slice(2), ['stop']);
  signals.emit('SIGINT', 'SIGINT');
  await running;
  assert.deepEqual(events.slice(2), ['stop', 'hurry']);
  assert.deepEqual(signals.eventNames(), []);
});

const stop = () => Promise.reject(new Error('while stopping'));
const reload = () => Promise.resolve();

test('SIGHUP of a terminal that closed stops', async () => {
  const signals = new EventEmitter();
  let gone = false;
  let reloads = 0;
  const running = runUntilStopped({
    log,
    signals,
    terminalGone: () => gone,
    reload: async () => void reloads++,
    ended: new Promise(() => undefined),
    stop: () => Promise.resolve(),
  });
  signals.emit('SIGHUP', 'SIGHUP');
  gone = true;
  signals.emit('SIGHUP', 'SIGHUP');
  await running;
  assert.equal(reloads, 1);
});

test('a relay that fails by itself, or while it stops, ends the run with that failure', async () => {
  const signals = new EventEmitter();
  await assert.rejects(
    runUntilStopped({ log, signals, stop, reload, ended: Promise.reject(new Error('by itself')) }),
    /by itself/,
  );
  const running = runUntilStopped({ log, signals, stop, reload, ended: new Promise(() => undefined) });
  signals.emit('SIGTERM', 'SIGTERM');
  await assert.rejects(running, /while stopping/);
});
