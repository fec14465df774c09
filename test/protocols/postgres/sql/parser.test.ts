/** A text that breaks an instance of the parser harms no other text for longer than a moment, and no short one at all. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openClassifier } from '../../../../src/protocols/postgres/sql/classifier.ts';
import { SqlParser, shortTextBytes } from '../../../../src/protocols/postgres/sql/parser.ts';

const tick = () => new Promise((resolve) => setImmediate(resolve));
const tooDeep = (name: string) => Buffer.from(`SELECT ${`${name} || `.repeat(15_000)} 1 /**/`);

test('what could not be read while the parser was broken is not remembered; short texts are read all the time', async () => {
  const classifier = await openClassifier();
  const effectsOf = (text: string) => classifier.classify(Buffer.from(text)).effects;
  const long = `/*${' '.repeat(shortTextBytes)}*/ SELECT z FROM z`;
  for (const name of ['a', 'b', 'c'])
    assert.deepEqual(classifier.classify(tooDeep(name)).effects, ['unknown']);
  // All instances for long texts are gone, and none can be made before this function gives way.
  assert.deepEqual(effectsOf(long), ['unknown']);
  assert.deepEqual(effectsOf('/**/ SELECT z FROM z'), ['read']);
  assert.deepEqual(effectsOf('SELECT z FROM z WHERE y = 1'), ['read']);
  while (effectsOf(long).includes('unknown')) await tick();
  assert.deepEqual(effectsOf(long), ['read']);
});

/** The deepest tree that fits: `opening` and `closing` as often as there is room. */
function nested(before: string, opening: string, middle: string, closing: string): Buffer {
  const room = shortTextBytes - before.length - middle.length;
  const depth = Math.floor(room / (opening.length + closing.length));
  return Buffer.from(before + opening.repeat(depth) + middle + closing.repeat(depth));
}

test('no short text breaks the parser, however it nests', async () => {
  const parser = await SqlParser.open();
  const texts = [
    nested('SELECT ', '1+', '1', ''),
    nested('SELECT ', '- ', 'a', ''),
    nested('SELECT ', 'NOT ', 'a', ''),
    nested('SELECT 1', '::a', '', ''),
    nested('SELECT a', ' ISNULL', '', ''),
    nested('SELECT a', ' COLLATE b', '', ''),
    nested('SELECT ARRAY', '[', '1', ']'),
    nested('SELECT ', 'ARRAY[', '1', ']'),
    nested('SELECT ', '(', 'a', ').b'),
    nested('SELECT ', '(1,', '1', ')'),
    nested('SELECT ', 'f(', '1', ')'),
    nested('SELECT ', '(a AND ', 'a', ')'),
    nested('SELECT ', 'a IN (', 'a', ')'),
    nested('SELECT ', 'CASE WHEN ', 'a', ' THEN a END'),
    nested('SELECT ', '(SELECT ', '1', ')'),
    nested('', 'SELECT FROM (', 'SELECT', ')a'),
    nested('', '(TABLE a UNION ', 'TABLE a', ')'),
    nested('', 'TABLE a UNION ', 'TABLE a', ''),
    nested('', 'WITH a AS (', 'TABLE a', ')TABLE a'),
    nested('SELECT FROM ', '(', 'a', ' JOIN b USING(c))'),
    nested('SELECT FROM a', ' CROSS JOIN a', '', ''),
  ];
  for (const text of texts) assert.notEqual(parser.parse(text), null, text.toString().slice(0, 40));
  assert.equal(parser.broken, 0);
  assert.equal(parser.parse(tooDeep('a')), null);
  assert.equal(parser.broken, 1);
});

test('an instance that was broken is made up for', async () => {
  const parser = await SqlParser.open();
  for (const name of ['a', 'b', 'c', 'd']) {
    while (!parser.isReady(tooDeep(name))) await tick();
    assert.equal(parser.parse(tooDeep(name)), null);
  }
  assert.equal(parser.broken, 4);
  while (!parser.isReady(tooDeep('e'))) await tick();
  const long = Buffer.from(`SELECT ${'a, '.repeat(2000)} a`);
  assert.equal(parser.parse(long)?.length, 1);
});

test('statements stand where they stand, in bytes', async () => {
  const parser = await SqlParser.open();
  const text = Buffer.from("/* é */ SELECT 'é'; ; DELETE FROM t -- é\n;");
  const parts = parser.parse(text)?.map(({ start, end }) => text.toString('utf8', start, end));
  assert.deepEqual(
    parts?.map((part) => part.trim()),
    ["SELECT 'é'", 'DELETE FROM t -- é'],
  );
  assert.deepEqual(parser.parse(Buffer.from('')), []);
  assert.equal(parser.parse(Buffer.from('SELECT')) === null, false);
  assert.equal(parser.parse(Buffer.from('SELEC')), null);
  assert.equal(parser.parse(Buffer.from('SELECT 1\0')), null);
});
