import { test } from 'node:test';
import assert from 'node:assert/strict';
import { askedProgram } from '../../../src/protocols/ssh/asked-program.ts';
import { readableWindow } from '../../../src/protocols/ssh/window.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';

test('a client cannot make the screen too small to read lines from, nor too large to keep', () => {
  assert.deepEqual(readableWindow({ columns: 1, rows: 1 }), { columns: 20, rows: 4 });
  assert.deepEqual(readableWindow({ columns: 0, rows: 0 }), { columns: 80, rows: 24 });
  assert.deepEqual(readableWindow({ columns: 2 ** 31, rows: 2 ** 31 }), { columns: 10_000, rows: 10_000 });
  assert.deepEqual(readableWindow({ columns: 132, rows: 43 }), { columns: 132, rows: 43 });
});

const asked = {
  kind: 'exec',
  text: 'cat f',
  environment: {},
  agent: false,
  x11: null,
  terminal: null,
} as const;

test('the target is told of the same terminal as the record', () => {
  const terminal = { term: 'xterm', columns: 1, rows: 1, width: 0, height: 0, modes: {} };
  const program = askedProgram({ ...asked, terminal }, () => unknownFacts);
  assert.equal(program.terminal?.columns, 20);
  assert.equal(program.request.window?.columns, 20);
});

test('variables that make another program of a command are code', () => {
  const reads = { effects: ['read'], relations: [], functions: [], programs: ['cat'] } as const;
  const effects = (environment: Record<string, string>) =>
    askedProgram({ ...asked, environment }, () => reads).request.facts.effects;
  assert.deepEqual(effects({ LANG: 'C', LC_PAPER: 'C', TERM: 'xterm' }), ['read']);
  assert.deepEqual(effects({ LD_PRELOAD: './x.so' }), ['code', 'read']);
  assert.deepEqual(effects({ BASH_ENV: 'x', LANG: 'C' }), ['code', 'read']);
});
