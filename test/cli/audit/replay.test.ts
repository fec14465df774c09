import { test } from 'node:test';
import assert from 'node:assert/strict';
import { paced, parseMoments, parseSpeed } from '../../../src/cli/audit/pace.ts';
import { TranscriptText } from '../../../src/cli/audit/replay.ts';
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
    {
      ...at,
      kind: 'command',
      text: 'select 1;\n\u001b]0;owned\u0007',
      parameters: ['\u001b[2J'],
      origin: null,
    },
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
  for await (const _ of paced(source(), { speed: 1, maxIdleMs: 5, fromMs: 0 }, never.signal)) count++;
  for await (const _ of paced(source(), null, never.signal)) count++;
  assert.equal(count, 6);
  const stopped = new AbortController();
  for await (const { micros } of paced(source(), { speed: 1, maxIdleMs: 1e9, fromMs: 0 }, stopped.signal)) {
    assert.ok(micros < 2);
    if (micros === 1) setImmediate(() => stopped.abort());
  }
});

test('speeds and moments as people type them', () => {
  assert.deepEqual(['2', '0.5', '0'].map(parseSpeed), [2, 0.5, 0]);
  for (const text of ['fast', '-1', '0.01', '1001', ''])
    assert.throws(() => parseSpeed(text), { code: 'duration-invalid' });
  assert.deepEqual(
    ['2s', '2', '0.25', '500ms', '1m30s', '0'].map(parseMoments),
    [2000, 2000, 250, 500, 90_000, 0],
  );
  for (const text of ['soon', '-1s', '1.5m', ''])
    assert.throws(() => parseMoments(text), { code: 'duration-invalid' });
});

test('a program’s streams are text, and a line typed into a shell stands under it with how it became known', () => {
  const origin = { parent: 1, how: 'reconstructed' } as const;
  const text = shown([
    { ...at, kind: 'connected', parameters: { channel: 'shell', term: 'xterm' } },
    { ...at, kind: 'command', text: 'shell', parameters: ['LANG=C'], origin: null },
    { ...at, kind: 'window', columns: 80, rows: 24 },
    { ...at, kind: 'text', stream: 'output', data: '$ ' },
    { ...at, kind: 'text', stream: 'input', data: '**\r' },
    { ...at, command: 2, kind: 'command', text: 'ls', parameters: null, origin },
    { ...at, kind: 'text', stream: 'output', data: 'ls\r\n\u001b[1mfile\r\n' },
    { ...at, command: 2, kind: 'complete', tag: 'exit 0' },
  ]);
  assert.deepEqual(text.split('\n'), [
    '-- connection 1: channel=shell term=xterm',
    '=> shell ["LANG=C"]',
    '-- connection 1: 80×24',
    '$ ',
    '  => ls (reconstructed)',
    'ls',
    '\ufffd[1mfile',
    'exit 0',
    '',
  ]);
});
