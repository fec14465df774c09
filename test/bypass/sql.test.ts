/** No text of the corpus is taken for less than it is, alone or beside harmless statements. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { effects } from '../../src/model/command-facts.ts';
import { openClassifier } from '../../src/protocols/postgres/sql/classifier.ts';
import { bypasses } from './sql-corpus.ts';

const classifier = await openClassifier();

/** Until an instance that a text has broken is made up for, nothing is understood; the relay's next tick sees another. */
const tick = () => new Promise((resolve) => setImmediate(resolve));

test('what looks harmless and is not is seen', async () => {
  for (const { text, atLeast, why } of bypasses) {
    const bytes = Buffer.from(text);
    for (const whole of [
      bytes,
      Buffer.concat([Buffer.from('SELECT 1;'), bytes]),
      Buffer.concat([bytes, Buffer.from('\n;SELECT 1')]),
    ]) {
      const facts = classifier.classify(whole);
      const missing = atLeast.split(' ').filter((effect) => !facts.effects.some((each) => each === effect));
      // Together with another statement it may be no SQL at all; unknown is never less.
      if (whole !== bytes && facts.effects.includes('unknown')) continue;
      assert.deepEqual(
        missing,
        [],
        `${why}: ${whole.toString('latin1').slice(0, 80)} is ${facts.effects.join(' ')}`,
      );
      await tick();
    }
  }
});

test('the classifier is usable after every text of the corpus', async () => {
  for (const { text } of bypasses) {
    classifier.classify(Buffer.from(text));
    classifier.describe(Buffer.from(text));
    await tick();
    assert.deepEqual(classifier.classify(Buffer.from('/**/ SELECT a FROM t')).effects, ['read']);
  }
});

const words = fc.constantFrom(
  'SELECT',
  'DELETE FROM',
  'UPDATE',
  'SET',
  'INSERT INTO',
  'VALUES',
  'WHERE',
  'FROM',
  'WITH',
  'AS',
  '(',
  ')',
  '((',
  '))',
  ',',
  ';',
  '*',
  '1',
  "'x'",
  "'",
  '"',
  '"a"',
  '$$',
  '$1',
  "E'",
  '--',
  '/*',
  '*/',
  '\n',
  't',
  'a',
  '=',
  '+',
  'AND',
  'UNION',
  'EXPLAIN',
  'ANALYZE',
  'COPY',
  'TO',
  'PROGRAM',
  'CREATE TABLE',
  'FUNCTION',
  'DO',
  'CALL',
  'SET ROLE',
  '::',
  '[',
  ']',
  '.',
  '\\',
  '\0',
  'é',
  '\u{1F600}',
  'U&',
  'CASE WHEN',
  'END',
  'NOT',
  'IN',
  'f(',
  'JOIN',
  'ON',
  'LATERAL',
);
const known: ReadonlySet<string> = new Set(effects);

test('hostile texts: an answer that the model knows, never an exception', async () => {
  const text = fc.oneof(
    fc.array(words, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(' '))),
    fc.array(words, { maxLength: 12 }).map((parts) => Buffer.from(`SELECT ${parts.join('')}`)),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(words, fc.integer({ min: 1, max: 3000 }))
      .map(([word, times]) => Buffer.from(`SELECT ${word.repeat(times)}`)),
  );
  await fc.assert(
    fc.asyncProperty(text, async (bytes) => {
      const before = Buffer.from(bytes);
      const facts = classifier.classify(bytes);
      assert.ok(facts.effects.every((effect) => known.has(effect)));
      assert.ok(bytes.equals(before), 'the text is only read');
      if (bytes.includes(0)) assert.deepEqual(facts.effects, ['unknown']);
      assert.equal(classifier.classify(before), facts, 'the same text has the same facts');
      for (const statement of classifier.describe(bytes)) assert.equal(typeof statement.text, 'string');
      await tick();
    }),
    { numRuns: 3000 },
  );
});

const filler = (unit: string, bytes: number) => unit.repeat(Math.ceil(bytes / unit.length));

const measure = (text: string): number => {
  const bytes = Buffer.from(text);
  const start = process.cpuUsage();
  classifier.classify(bytes);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
};

/** Time is compared with that of a parse of the same length, so that a slow machine is slow in both. */
test('no text takes out of proportion to its length', async () => {
  const size = 900_000;
  const hostile = {
    'comments that nest': filler('/*', size),
    'comments side by side': `${filler('/**/', size)}`,
    'comments in comments': filler(`${'/*'.repeat(60)}${'*/'.repeat(60)}`, size),
    signs: `SELECT ${filler('+-', size)}1`,
    operators: `SELECT ${filler(`${'+-'.repeat(100)} `, size)}1`,
    'operators and comments': `SELECT 1 ${filler('+/**/', size)}1`,
    sums: `SELECT ${filler('a+', size)}1`,
    parentheses: `SELECT ${filler('(', size)}`,
    semicolons: filler(';', size),
    dollars: `SELECT ${filler('$a$b', size)}`,
    quotes: `SELECT ${filler(`' '`, size)}`,
    'continued literals': `SELECT ${filler(`'a'\n`, size)}`,
    escapes: `SELECT ${filler(`'\\'`, size)}`,
    names: `SELECT ${filler('a.', size)}a`,
    relations: `SELECT 1 FROM ${filler('t,', size)}t`,
    subqueries: `SELECT ${filler('(SELECT ', size)}`,
    rows: `INSERT INTO t VALUES ${filler('(a,b),', size)}(1)`,
  };
  measure(`/**/ SELECT ${filler('a,', 30_000)}a`);
  const ordinary = Math.max(5, measure(`/**/ SELECT ${filler('b,', 30_000)}b`));
  for (const [name, text] of Object.entries(hostile)) {
    const took = measure(text);
    assert.ok(took < 40 * ordinary, `${name}: ${took} ms, ${ordinary} ms for an ordinary text`);
    await tick();
  }
});
