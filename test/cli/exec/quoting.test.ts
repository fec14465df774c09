/** Words as a command line: a real POSIX shell splits it into the same words again. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { commandLine } from '../../../src/cli/exec/quoting.ts';

test('plain words stay as they are, for the record and whoever reads it', () => {
  assert.equal(
    commandLine(['ls', '-la', '/var/log', '--color=never', 'a@b:c']),
    'ls -la /var/log --color=never a@b:c',
  );
  assert.equal(commandLine(['FOO=bar']), "'FOO=bar'");
  assert.equal(commandLine(['while']), "'while'");
  assert.equal(commandLine(['echo', 'while', '', "it's"]), `echo while '' 'it'\\''s'`);
});

test('any words survive a shell', () => {
  const word = fc
    .string({ unit: 'binary' })
    .filter((text) => !/[\0\ufffd]/.test(text) && text.isWellFormed());
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      const line = commandLine(['printf', '%s\\0', '.', ...words]);
      assert.equal(
        execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8' }),
        ['.', ...words, ''].join('\0'),
      );
    }),
    { numRuns: 60 },
  );
});

test('what is no text is refused', () => {
  for (const word of ['a\0b', 'a\ufffd', '\ud800'])
    assert.throws(() => commandLine(['echo', word]), { code: 'command-unquotable' });
});
