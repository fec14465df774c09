/** Exit codes and the error view: what scripts and people meet when something fails. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { AgentError } from '../../src/agent/error.ts';
import { RelayProblem } from '../../src/agent/problem.ts';
import { errorDocument, errorText } from '../../src/cli/error-view.ts';
import { codesWithExitCode, exitCodeOf, exitCodes } from '../../src/cli/exit-codes.ts';

const docs = readFileSync(path.resolve(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const textOf = (error: unknown, environment = {}) => stripVTControlCharacters(errorText(error, environment));

test('the numbers are a contract', () => {
  assert.deepEqual(exitCodes, {
    done: 0,
    bug: 1,
    usage: 2,
    denied: 3,
    notSignedIn: 4,
    unreachable: 5,
    verificationFailed: 6,
    nothingFound: 7,
    interrupted: 130,
  });
});

test('every code that has an exit code exists, once', () => {
  for (const code of codesWithExitCode) assert.ok(docs.includes(`| \`${code}\` |`), code);
  assert.equal(new Set(codesWithExitCode).size, codesWithExitCode.length);
});

const ofRelay = (status: number) => exitCodeOf(new RelayProblem({ title: 't', code: 'some-code', status }));

test('a refusal of the relay counts by its status, a known code by itself', () => {
  assert.deepEqual([400, 401, 403, 404, 409, 429, 500, 502, 503].map(ofRelay), [2, 4, 3, 2, 2, 2, 1, 5, 5]);
  assert.equal(exitCodeOf(new AgentError('not-signed-in', 'm')), 4);
  assert.equal(exitCodeOf(new RelayProblem({ title: 't', code: 'port-taken', status: 500 })), 2);
  assert.equal(exitCodeOf(new Error('x')), 1);
  assert.equal(exitCodeOf('thrown text'), 1);
});

test('three lines: what, why, what to do', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:1'), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
  });
  const error = new AgentError('relay-unreachable', 'a.example cannot be reached', { hint: 'look', cause });
  const lines = [
    'hoop: a.example cannot be reached',
    '  connect: ECONNREFUSED (relay-unreachable)',
    '  look',
    '',
  ];
  assert.equal(textOf(error), lines.join('\n'));
  assert.deepEqual(errorDocument(error), {
    error: { code: 'relay-unreachable', message: 'a.example cannot be reached', hint: 'look' },
  });
});

test('no stack, and no text of a foreign cause, unless asked for', () => {
  const error = new AgentError('session-ended', 'it failed', { cause: new Error('token=abc') });
  assert.doesNotMatch(textOf(error), /abc|at .*\.ts/);
  assert.match(textOf(error, { HOOP_DEBUG: '1' }), /at .*\.ts/);
});

test('text from a relay cannot move the cursor, hide a line or turn it round', () => {
  const title = 'fine\u001b[2K\u001b[1A\r\nall good \u202eevil\u0007';
  const text = textOf(new RelayProblem({ title, code: 'x\u001b[31m', status: 403, hint: 'a\nb' }));
  assert.equal(text.split('\n').length, 4);
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u202e]/u);
});
