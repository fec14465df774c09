import { test } from 'node:test';
import assert from 'node:assert/strict';
import { asciicast, type CastHeader } from '../../../../src/cli/audit/terminal/asciicast.ts';
import { LinesView, RawView, TerminalView, type Surface } from '../../../../src/cli/audit/terminal/views.ts';
import type { StreamView } from '../../../../src/wire/audit.ts';

const header: CastHeader = {
  title: 't',
  openedAtMs: 1_700_000_000_123,
  term: 'xterm',
  columns: 100,
  rows: 30,
  maxIdleMs: 2000,
};
const at = (seconds: number) => ({ micros: 5_000_000 + seconds * 1e6, channel: 1 });
const bytes = (
  kind: 'input' | 'output' | 'error-output',
  seconds: number,
  content: Buffer | string,
): StreamView => ({ ...at(seconds), kind, bytes: Buffer.from(content).toString('base64') });
const opened: StreamView = { ...at(0), kind: 'opened', type: 'exec', term: null };

async function cast(given: CastHeader, items: readonly StreamView[]): Promise<unknown[]> {
  let text = '';
  async function* source(): AsyncGenerator<StreamView> {
    yield* items;
  }
  for await (const piece of asciicast(given, source())) text += piece;
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

test('an asciicast: header, output, input and window sizes, characters whole', async () => {
  const euro = Buffer.from('€');
  assert.deepEqual(
    await cast(header, [
      opened,
      { ...at(0.1), kind: 'window', columns: 100, rows: 30 },
      bytes('output', 0.25, Buffer.concat([Buffer.from('a'), euro.subarray(0, 1)])),
      bytes('input', 0.5, '*'),
      bytes('output', 1, euro.subarray(1)),
      bytes('error-output', 1.5, 'hoop: held\r\n'),
      { ...at(2), kind: 'window', columns: 120, rows: 40 },
      bytes('output', 3, Buffer.from([0xff, 0x0a])),
      bytes('output', 4, euro.subarray(0, 2)),
    ]),
    [
      {
        version: 2,
        width: 100,
        height: 30,
        timestamp: 1_700_000_000,
        idle_time_limit: 2,
        title: 't',
        env: { TERM: 'xterm' },
      },
      [0.25, 'o', 'a'],
      [0.5, 'i', '*'],
      [1, 'o', '€'],
      [1.5, 'o', 'hoop: held\r\n'],
      [2, 'r', '120x40'],
      [3, 'o', '\ufffd\n'],
      [4, 'o', '\ufffd'],
    ],
  );
});

test('without a terminal its lines get the returns that a terminal would have added, once', async () => {
  const items = [
    opened,
    bytes('output', 0, 'a\nb\r'),
    bytes('output', 0, '\nc\r\n\n'),
    bytes('output', 1, '\n'),
  ];
  const events = await cast({ ...header, term: null, columns: null, rows: null, maxIdleMs: 0 }, items);
  assert.deepEqual(events, [
    { version: 2, width: 80, height: 24, timestamp: 1_700_000_000, title: 't' },
    [0, 'o', 'a\r\nb\r'],
    [0, 'o', '\nc\r\n\r\n'],
    [1, 'o', '\r\n'],
  ]);
});

/** What was written to stdout, stderr, and told. */
function surface(size: { columns: number; rows: number } | null) {
  const written = { output: '', error: '', notes: [] as string[] };
  const made: Surface = {
    output: async (given) => void (written.output += given.toString()),
    errorOutput: async (given) => void (written.error += given.toString()),
    size: () => size,
    note: (line) => void written.notes.push(line),
  };
  return { written, made };
}

test('a pipe gets the bytes: both streams of a program apart, those of a terminal as one', async () => {
  for (const term of [null, 'xterm']) {
    const { written, made } = surface(null);
    const view = new RawView(made);
    for (const item of [
      { ...opened, term },
      bytes('output', 0, 'out\x1b]0;t\x07'),
      bytes('error-output', 1, 'err'),
      bytes('input', 1, 'in'),
    ])
      await view.take(item as StreamView);
    assert.deepEqual(
      [written.output, written.error],
      term === null ? ['out\x1b]0;t\x07', 'err'] : ['out\x1b]0;t\x07err', ''],
    );
  }
});

test('a window of another size is told once; the same one is not', async () => {
  const { written, made } = surface({ columns: 80, rows: 24 });
  const view = new TerminalView(made);
  await view.take({ ...at(0), kind: 'window', columns: 80, rows: 24 });
  assert.deepEqual(written.notes, []);
  for (const columns of [100, 120]) await view.take({ ...at(0), kind: 'window', columns, rows: 30 });
  assert.equal(written.notes.length, 1);
  assert.match(written.notes[0]!, /100×30.*80×24/);
  await view.take(bytes('output', 1, '\x1b[?1049h\x1b]0;title\x07text'));
  await view.reset();
  assert.equal(written.output.split('\x1b[?1049l')[0], '\x1b[?1049htext\x1b[r');
  assert.equal(new TerminalView(made).ending().endsWith('\r\n'), false);
});

test('without a terminal: lines of both streams in order, with their times, and nothing that steers', async () => {
  const { written, made } = surface({ columns: 80, rows: 24 });
  const view = new LinesView(made);
  const items: [StreamView, number][] = [
    [{ ...at(0), kind: 'command', command: 1, text: 'make\x1b[2J', origin: null }, 0],
    [bytes('output', 0, 'one\ntw'), 10],
    [bytes('output', 0, 'o\r\n'), 20],
    [bytes('output', 0, 'unfinished'), 30],
    [bytes('error-output', 0, 'warn\x1b[31m'), 1040],
    [{ ...at(2), kind: 'outcome', command: 1, outcome: 'failed', tag: 'exit 2', errorCode: 'exit 2' }, 2000],
  ];
  for (const [item, ms] of items) await view.take(item, ms);
  assert.deepEqual(written.output.split('\n'), [
    '    0.000  => make\ufffd[2J',
    '    0.010  one',
    '    0.010  two',
    '    0.030  unfinished',
    '    1.040  warn\ufffd[31m',
    '    2.000  failed exit 2',
    '',
  ]);
});
