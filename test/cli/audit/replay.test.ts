import { test } from 'node:test';
import assert from 'node:assert/strict';
import { paced, TranscriptText } from '../../../src/cli/audit/replay.ts';
import type { TranscriptView } from '../../../src/wire/audit.ts';

const at = { micros: 0, connection: 1, command: 1 };
const later = (micros: number): TranscriptView => ({ ...at, micros, kind: 'complete', tag: 'x' });
const shown = (items: readonly TranscriptView[]): string => {
  const text = new TranscriptText(null);
  return items.map((item) => text.take(item)).join('');
};

test('results of any length are one table, and an empty one keeps its heads', () => {
  const rows = Array.from({ length: 1203 }, (_, n) => ({
    ...at,
    kind: 'row' as const,
    values: [String(n), null],
  }));
  const text = shown([
    { ...at, kind: 'columns', names: ['n', 'nothing'] },
    ...rows,
    { ...at, kind: 'complete', tag: 'SELECT 1203' },
    { ...at, kind: 'columns', names: ['none'] },
    { ...at, kind: 'complete', tag: 'SELECT 0' },
  ]);
  const lines = text.split('\n');
  assert.equal(lines.filter((line) => line === 'n\tnothing').length, 1);
  assert.equal(lines.length, 1 + 1203 + 1 + 1 + 1 + 1);
  assert.deepEqual(lines.slice(-4), ['SELECT 1203', 'none', 'SELECT 0', '']);
});

test('what was recorded cannot write to the terminal but text', () => {
  const text = shown([
    { ...at, kind: 'command', text: 'select 1;\n\u001b]0;owned\u0007', parameters: ['\u001b[2J'] },
    { ...at, kind: 'columns', names: ['\u001b[31m'] },
    { ...at, kind: 'row', values: ['\u001b[2J\r'] },
    {
      ...at,
      kind: 'error',
      severity: 'ERROR',
      code: '42601',
      message: '\u001b[A',
      detail: '\u009b1A',
      hint: null,
    },
    { ...at, kind: 'copy-out', data: 'a\tb\u001b[2J\n' },
  ]);
  assert.doesNotMatch(text.replaceAll('\t', ''), /[^\P{Cc}\n]/u);
  assert.match(text, /select 1;\n/);
});

test('the pace is that of the record, up to the longest pause, and an interrupt ends it', async () => {
  const items = [later(0), later(1), later(3_600_000_000)];
  async function* source(): AsyncGenerator<TranscriptView> {
    yield* items;
  }
  const never = new AbortController();
  let count = 0;
  // An hour without its bound: the test would not end.
  for await (const _ of paced(source(), { speed: 1, maxIdleMs: 5 }, never.signal)) count++;
  for await (const _ of paced(source(), null, never.signal)) count++;
  assert.equal(count, 6);
  const stopped = new AbortController();
  for await (const { micros } of paced(source(), { speed: 1, maxIdleMs: 1e9 }, stopped.signal)) {
    assert.ok(micros < 2);
    if (micros === 1) setImmediate(() => stopped.abort());
  }
});
