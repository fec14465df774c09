/** The headless terminal under a target that means harm. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadlessTerminal } from '../../../../src/protocols/ssh/terminal/headless.ts';
import { Screen } from '../../../../src/protocols/ssh/terminal/screen.ts';
import { parseMark } from '../../../../src/protocols/ssh/terminal/marks.ts';

const nobody = { mark: () => undefined, lineFed: () => undefined };

test('it parses at once: the package still has the method for it', () => {
  const terminal = new HeadlessTerminal(80, 24, nobody);
  terminal.parse(Buffer.from('abc'));
  assert.equal(terminal.buffer.cursorX, 3);
  assert.equal(terminal.restarts, 0);
  terminal.dispose();
});

test('a count in a control sequence does not make it work for long', () => {
  for (const final of [
    'L',
    'M',
    'S',
    'T',
    'I',
    'Z',
    'b',
    '@',
    'P',
    'X',
    'A',
    'B',
    'C',
    'D',
    'J',
    'K',
    'r',
    'H',
  ]) {
    const terminal = new HeadlessTerminal(80, 24, nobody);
    const start = performance.now();
    for (let time = 0; time < 20; time++) terminal.parse(Buffer.from(`a\x1b[2147483647${final}`));
    assert.ok(performance.now() - start < 2000, final);
    terminal.dispose();
  }
});

test('a cell does not grow without an end', () => {
  const terminal = new HeadlessTerminal(80, 24, nobody);
  const marks = Buffer.from('\u0301'.repeat(32_768));
  for (let written = 0; written < 24 * 1024 * 1024; written += marks.length) terminal.parse(marks);
  assert.ok(terminal.restarts >= 2);
  terminal.dispose();
});

test('a window of any size is one that memory holds', () => {
  for (const size of [0, -1, Number.NaN, 1, 4_294_967_295, 1.5]) {
    const terminal = new HeadlessTerminal(size, size, nobody);
    terminal.resize(size, size);
    assert.ok(
      terminal.columns >= 2 && terminal.columns <= 1000 && terminal.rows >= 2 && terminal.rows <= 500,
    );
    terminal.dispose();
  }
});

test('one look at the screen ends in time: what is left out is counted', () => {
  let now = 0;
  const screen = new Screen(80, 24, () => (now += 10), nobody);
  screen.write(Buffer.alloc(60_000, 'x\r\n'));
  screen.write(Buffer.from('\r\nlast'));
  screen.settle();
  assert.ok(screen.losses > 0);
  assert.equal(screen.row(screen.cursor.row).trimEnd(), 'last');
  screen.dispose();
});

test('marks that are malformed say nothing', () => {
  for (const data of [
    '',
    'A',
    'Z',
    'D',
    'D;x',
    'D;99999',
    'C;cmdline_url=%',
    'E',
    'E;a\\',
    'E;\\xZZ',
    'B;;;;',
  ]) {
    const mark = parseMark(633, data);
    if (mark?.kind === 'finished') assert.equal(mark.exitCode, null);
  }
  assert.deepEqual(parseMark(133, 'C;cmdline_url=echo%20a'), { kind: 'started', text: 'echo a' });
  assert.deepEqual(parseMark(133, 'D;7'), { kind: 'finished', exitCode: 7 });
});
