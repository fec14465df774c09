/** What is recorded of typed input. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputRedactor, redactedInput } from '../../../../src/protocols/ssh/terminal/redacted-input.ts';

test('characters are starred, keys are kept, lengths are kept', () => {
  const cases: [string, string][] = [
    ['geheim\r', '******\r'],
    ['ü\t\x7f', '**\t\x7f'],
    ['\x1b[A\x1bOP\x1b[1;5C', '\x1b[A\x1bOP\x1b[1;5C'],
    ['\x1b[200~pw\x1b[201~', '\x1b[200~**\x1b[201~'],
    ['\x1bd\x1b\r', '\x1b*\x1b\r'],
    ['\x1b[97;1u', '\x1b[*****'],
    ['\x1b[27;5;97~', '\x1b[********'],
    ['\x1bOq', '\x1bO*'],
    ['\x1b[<geheim', '\x1b[<g*****'],
  ];
  for (const [typed, recorded] of cases) assert.equal(redactedInput(Buffer.from(typed)).toString(), recorded);
});

test('a sequence that chunks cut keeps nothing that could be a character', () => {
  const redactor = new InputRedactor();
  const recorded = ['\x1b', '[', '9', '7', 'u', 'x', '\x1b[', 'A'].map((chunk) =>
    redactor.redact(Buffer.from(chunk)).toString(),
  );
  assert.ok(!recorded.join('').includes('97'));
  assert.equal(recorded.join('').length, 9);
});
