import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EntryOf, NewEntry } from '../../../src/evidence/entry.ts';
import { Sealer, type ClosedSegment, type SealerOptions } from '../../../src/evidence/recording/sealer.ts';

interface Bench extends Disposable {
  readonly sealed: string[];
  segment(session: string, index: number, more?: Partial<ClosedSegment>): ClosedSegment;
}

function bench(): Bench {
  const base = mkdtempSync(path.join(tmpdir(), 'hoop-sealer-'));
  return {
    sealed: [],
    segment(session, index, more = {}) {
      const directory = path.join(base, session);
      mkdirSync(directory, { recursive: true });
      writeFileSync(path.join(directory, `${index}.cbor`), Buffer.alloc(1000, index));
      const times = { firstMicros: 0, lastMicros: 1, commands: 0, redactions: 0, sealed: null };
      return { session, directory, index, length: 1000, ...times, full: false, ...more };
    },
    [Symbol.dispose]: () => rmSync(base, { recursive: true }),
  };
}

const sealerOf = (sealed: string[], options: Partial<SealerOptions> = {}): Sealer =>
  new Sealer({
    append: async (entry: NewEntry) => {
      const { session, index } = entry as EntryOf<'segment'>;
      sealed.push(`${session}${index}`);
    },
    ...options,
  });

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('under load it waits; the backlog’s bound, age, calm and drain each end the waiting', async () => {
  using b = bench();
  const forever = { backlogBytes: 1e9, maxAgeMs: 1e9, calmMs: 1e9 };
  const waiting = sealerOf(b.sealed, forever);
  const sealing = waiting.seal(b.segment('w', 0, { full: true }));
  for (let i = 0; i < 50; i++) await tick();
  assert.deepEqual(b.sealed, []);
  assert.deepEqual(waiting.backlog, { segments: 1, bytes: 1000 });
  await waiting.drain();
  await sealing;
  assert.deepEqual(waiting.backlog, { segments: 0, bytes: 0 });

  const bounded = sealerOf(b.sealed, { ...forever, backlogBytes: 1500 });
  await Promise.all([0, 1].map((index) => bounded.seal(b.segment('b', index, { full: true }))));
  await sealerOf(b.sealed, { ...forever, maxAgeMs: 5 }).seal(b.segment('a', 0, { full: true }));
  await sealerOf(b.sealed, { ...forever, calmMs: 5 }).seal(b.segment('c', 0, { full: true }));
  assert.deepEqual(b.sealed, ['w0', 'b0', 'b1', 'a0', 'c0']);
});

test('what the log refuses is tried again, in order; other sessions go on meanwhile', async () => {
  using b = bench();
  const refused: string[] = [];
  let open = false;
  const sealer = sealerOf([], {
    retryMs: 5,
    append: async (entry: NewEntry) => {
      const { session, index } = entry as EntryOf<'segment'>;
      if (session === 'x' && !open) throw new Error('refused');
      b.sealed.push(`${session}${index}`);
    },
    onError: (_error, session) => refused.push(session),
  });
  const first = [0, 1].map((index) => sealer.seal(b.segment('x', index)));
  await sealer.seal(b.segment('y', 0));
  while (refused.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(b.sealed, ['y0']);
  open = true;
  await Promise.all(first);
  assert.deepEqual(b.sealed, ['y0', 'x0', 'x1']);
  assert.ok(refused.every((session) => session === 'x'));
});

test('a missing open segment holds up its own session alone; close gives back what waits', async () => {
  using b = bench();
  const sealer = sealerOf(b.sealed, { retryMs: 5 });
  const lost = b.segment('lost', 0);
  rmSync(path.join(lost.directory, '0.cbor'));
  const waiting = sealer.seal(lost);
  await sealer.seal(b.segment('fine', 0));
  const closed = assert.rejects(waiting, { code: 'recording-failed' });
  await sealer.close();
  await closed;
  await assert.rejects(sealer.seal(b.segment('late', 0)), { code: 'recording-failed' });
  assert.deepEqual(b.sealed, ['fine0']);
  assert.deepEqual(readdirSync(lost.directory), []);
});
