/** No text of the corpus is taken for less than it is, alone or beside harmless commands; nothing throws or takes long. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { effects } from '../../src/model/command-facts.ts';
import { transferOf } from '../../src/protocols/ssh/shell/transfers.ts';
import { openShellClassifier } from '../../src/relay/shell-grammar.ts';
import { bypasses } from './shell-corpus.ts';

const classifier = await openShellClassifier();
const known: ReadonlySet<string> = new Set(effects);

test('what looks harmless and is not is seen', () => {
  for (const [text, atLeast] of bypasses)
    for (const whole of [text, `ls; ${text}`, `${text}\nls`, `true && ${text}`, `ls | ${text}`]) {
      const facts = classifier.classify(Buffer.from(whole));
      assert.ok(
        facts.effects.some((effect) => effect !== 'read' && effect !== 'session') || atLeast === 'read',
        whole,
      );
      if (facts.effects.includes('unknown')) continue;
      const missing = atLeast
        .split(' ')
        .filter((effect) => effect !== 'unknown' && !facts.effects.some((each) => each === effect));
      assert.deepEqual(missing, [], `${JSON.stringify(whole)} is ${facts.effects.join(' ')}`);
    }
});

test('none of them is a transfer', () => {
  for (const [text] of bypasses) assert.equal(transferOf(Buffer.from(text)), null, text);
});

test('the classifier is usable after every text of the corpus', () => {
  for (const [text] of bypasses) {
    classifier.classify(Buffer.from(text));
    assert.deepEqual(classifier.classify(Buffer.from('ls /tmp')).effects, ['read']);
  }
});

const piece = fc.constantFrom(
  'ls',
  'rm',
  'sudo',
  'sh -c',
  'find',
  '-exec',
  '{}',
  'xargs',
  'env',
  'eval',
  'case',
  'esac',
  'in',
  'if',
  'then',
  'fi',

  'for',
  'do',
  'done',
  'function',
  'f()',
  '{',
  '}',
  '(',
  ')',
  '((',
  '))',
  '[[',
  ']]',
  '[',
  ']',
  '$(',
  '${',
  '$((',
  '`',

  "'",
  '"',
  '\\',
  '$',
  '|',
  '&',
  ';',
  ';;',
  '<',
  '>',
  '<<',
  '<<<',
  '<(',
  '>(',
  '\n',
  '\t',
  '#',
  '!',
  '*',
  '?',
  '~',
  '=',

  'a=',
  '$x',
  '\0',
  '\x1b[',
  'é',
  '\u{1F600}',
  '\u200b',
  '2>&1',
  '<<EOF\n',
  '\nEOF\n',
  "$'",
  '$"',
  '{a,b}',
  '1..3',
);

test('hostile texts: an answer that the model knows, never an exception', () => {
  const text = fc.oneof(
    fc.array(piece, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(' '))),
    fc.array(piece, { maxLength: 20 }).map((parts) => Buffer.from(parts.join(''))),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(piece, fc.integer({ min: 1, max: 300 })).map(([part, times]) => Buffer.from(part.repeat(times))),
  );
  fc.assert(
    fc.property(text, (bytes) => {
      const before = Buffer.from(bytes);
      const facts = classifier.classify(bytes);
      assert.ok(facts.effects.every((effect) => known.has(effect)));
      assert.ok(bytes.equals(before), 'the text is only read');
      if (bytes.includes(0)) assert.deepEqual(facts.effects, ['unknown']);
      assert.deepEqual(classifier.classify(before), facts, 'the same text has the same facts');
      transferOf(bytes);
    }),
    { numRuns: 2000 },
  );
});

const measure = (text: string): number => {
  const bytes = Buffer.from(text);
  const start = process.cpuUsage();
  classifier.classify(bytes);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
};

const fill = (unit: string, around = ''): string =>
  `${around}${unit.repeat(Math.floor(8000 / unit.length))}${around}`;

const ordinary = (mark: string): string => `ls ${fill(`${mark} `)}`;

/** Time is compared with that of an ordinary text of the same length, so that a slow machine is slow in both. */
test('no text takes out of proportion to its length', () => {
  for (const mark of ['x', 'y', 'z']) measure(ordinary(mark));
  const usual = Math.max(5, measure(ordinary('w')));
  const hostile = [
    '(',
    '$(',
    '`',
    '{a,',
    '{',
    '[',
    '"',
    "'",
    'a|',
    'a;',
    'a&&',
    'a=',
    'a=b ',
    '! ',
    '{ ',
    '( ',
    'if a; then ',
    '\\',

    'cat <<A ',
    'cat <<A\n',
    '$x',
    '${x:-y}',
    '$((1+',
    '>a ',
    '*[a]',
    '<(a) ',
    '<(',
    '#',
    '\n',
    '&>a ',
    ';;',
    '~/',

    'case x in a) ',
    'for i in a; do ',
    'f() ',
    '../',
    '/a',
    "$'\\x41'",
    '-e p ',
    '\\\n',
    'é',
    '<<<a ',
    '[[ ',
  ].flatMap((unit) => [
    fill(unit),
    `ls ${fill(unit)}`,
    `ls "${fill(unit)}"`,
    `sed '${fill(unit)}' x`,
    `sh -c '${fill(unit)}'`,
  ]);
  for (const text of hostile) {
    const took = measure(text);
    assert.ok(
      took < 40 * usual,
      `${JSON.stringify(text.slice(0, 30))}: ${took} ms, ${usual} ms for an ordinary text`,
    );
  }
});
