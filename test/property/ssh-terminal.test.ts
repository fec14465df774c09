/** Any input and any output, in any pieces: nothing throws, nothing is lost, nothing that was hidden is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyReader } from '../../src/protocols/ssh/terminal/keys.ts';
import { redactedInput } from '../../src/protocols/ssh/terminal/redacted-input.ts';
import { ScriptedTerminal } from '../protocols/ssh/terminal/scripted.ts';

const piece = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  fc.constantFrom(
    '\r',
    '\n',
    '\x0f',
    '\x03',
    '\x04',
    '\x15',
    '\x17',
    '\x7f',
    '\t',
    '\x1b',
    '\x1b[',
    '\x1b[A',
    '\x1bOM',
    '\x1b[13u',
    '\x1b[200~',
    '\x1b[201~',
    '\x18\x05',
    '\x12',
    '日本',
    '🎉',
    'e\u0301',
    '\x1b[?1049h',
    '\x1b[?1049l',
    '\x1b[?2004h',
    '\x1b]133;A\x07',
    '\x1b]133;B\x07',
    '\x1b]133;C\x07',
    '\x1b]133;D;1\x07',
    '\x1b]633;E;ls\x07',
    '\x1b[H\x1b[2J\x1b[3J',
    '\x1bc',
    '\x1b[5;10r',
    '\x1b[?6h',
    '\x1b[999999S',
    '\x1b[99999b',
    '\x1bP',
    '\x1b]0;',
    '\x1b#8',
    '\x1b[6n',
    '$ ',
    '\x1b[4h',
    '\x1b[?7l',
    '\x1b[?45h',
    "\r(reverse-i-search)`a': b",
    '\x9b',
    '\x00',
  ),
);
const happening = fc.oneof(
  fc.record({ kind: fc.constant('input' as const), text: piece }),
  fc.record({ kind: fc.constant('output' as const), text: piece }),
  fc.record({ kind: fc.constant('resize' as const), columns: fc.nat(200), rows: fc.nat(80) }),
  fc.record({ kind: fc.constant('passes' as const), ms: fc.nat(600) }),
  fc.record({ kind: fc.constantFrom('proceed' as const, 'refuse' as const) }),
  fc.record({
    kind: fc.constant('verdict' as const),
    verdict: fc.constantFrom('allow' as const, 'deny', 'wait'),
  }),
);

test('whatever happens, nothing throws, and input goes in order or not at all', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const scripted = new ScriptedTerminal(40, 10);
      for (const happened of happenings)
        switch (happened.kind) {
          case 'input':
            scripted.terminal.input(Buffer.from(happened.text, 'latin1'));
            break;
          case 'output':
            scripted.shows(happened.text);
            break;
          case 'resize':
            scripted.terminal.resize(happened.columns, happened.rows);
            break;
          case 'passes':
            scripted.passes(happened.ms);
            break;
          case 'verdict':
            scripted.verdict = happened.verdict;
            break;
          case 'proceed':
          case 'refuse':
            scripted.terminal[happened.kind]();
        }
      scripted.passes(2000);
      scripted.terminal.close();
      assert.equal(scripted.timers, 0);
    }),
    { numRuns: 1500 },
  );
});

test('while every line is allowed, the target gets every byte of the input', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), piece), { maxLength: 30 }), (pieces) => {
      const scripted = new ScriptedTerminal(40, 10);
      let typed = '';
      for (const [input, text] of pieces)
        if (input) {
          scripted.types(text);
          typed += text;
        } else scripted.shows(text);
      for (let wait = 0; wait < 200; wait++) scripted.passes(2000);
      assert.equal(Buffer.from(scripted.forwarded).toString(), Buffer.from(typed).toString());
      assert.equal(scripted.terminal.waitingBytes, 0);
      scripted.terminal.close();
    }),
    { numRuns: 1500 },
  );
});

test('what is never shown is never told', () => {
  const secret = 'QZJX';
  const shown = fc.constantFrom('\r\n', '$ ', 'text', '\x1b[H', '*', '\x1b[A', '\x07', '\x1b[?2004h');
  fc.assert(
    fc.property(fc.array(fc.tuple(shown, piece), { maxLength: 15 }), (rounds) => {
      const scripted = new ScriptedTerminal();
      for (const [output, input] of rounds) {
        scripted.shows(output);
        scripted.types(`${secret}${input.includes(secret) ? '' : input}`);
        scripted.types('\r');
        scripted.passes(2000);
      }
      for (const line of scripted.lines) assert.ok(!line.text.includes(secret), JSON.stringify(line));
      scripted.terminal.close();
    }),
    { numRuns: 1000 },
  );
});

test('keys hold every byte, in order, however the input is cut; so does what is recorded, but for its characters', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 }), (chunks) => {
      const reader = new KeyReader();
      const keys = chunks.flatMap((chunk) => reader.push(chunk));
      const all = Buffer.concat(chunks);
      assert.deepEqual(Buffer.concat(keys.map(({ bytes }) => bytes)), all);
      const recorded = redactedInput(all);
      assert.equal(recorded.length, all.length);
      for (const [index, byte] of all.entries())
        if (byte < 0x20 || byte === 0x7f) assert.equal(recorded[index], byte);
    }),
    { numRuns: 1000 },
  );
});

test('a key that submits is found however its bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 10 }),
      fc.constantFrom('\r', '\n', '\x0f', '\x1bOM', '\x1b[13u', '\x1b[13;2u'),
      fc.nat(20),
      (before, key, cut) => {
        const bytes = Buffer.from(`${before.replace(/[^ -~]/g, '')}${key}`);
        const reader = new KeyReader();
        const keys = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))];
        assert.match(keys.at(-1)!.kind, /^submit/);
      },
    ),
  );
});
