/** Backslashes and encodings: a text is read as every setting would read it, or not at all. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openClassifier } from '../../../../src/protocols/postgres/sql/classifier.ts';
import { readingsOf } from '../../../../src/protocols/postgres/sql/lexer.ts';

const classifier = await openClassifier();
const effectsOf = (text: string | Buffer): string =>
  classifier.classify(typeof text === 'string' ? Buffer.from(text) : text).effects.join(' ');

/** `é` stands for 0x83, which begins a letter of two bytes in SJIS. */
const sjis = (text: string): Buffer => Buffer.from(text.replaceAll('é', '\x83'), 'latin1');

test('a backslash that may hide a quote is read both ways', () => {
  const cases: readonly (readonly [string, string])[] = [
    // Legal both ways, and something else in each.
    ["SELECT '\\'; DELETE FROM t; --'", 'delete read unbounded'],
    ["SELECT '\\', ';DELETE FROM t;--'", 'delete read unbounded'],
    ["SELECT 'a' /* */ '\n\\' , '; DROP TABLE t; --'", 'unknown'], // two literals side by side: legal in neither
    ["SELECT 'a'\n'\\', '; DROP TABLE t; --'", 'read schema'],
    // PostgreSQL goes on with a literal after a comment too; the parser's scanner does not, and refuses.
    ["SELECT 'a' -- b\n  '\\', '; DROP TABLE t; --'", 'unknown'],
    // An escape string goes on as one, under both settings.
    ["SELECT E'a'\n'\\', '; DROP TABLE t; --'", 'read schema'],
    ["SELECT E'a'\n'\\'; DROP TABLE t; --'", 'read'],
    ["SELECT N'\\', '; DROP TABLE t; --'", 'read schema'],
    ["SELECT b'0', '\\', '; DROP TABLE t; --'", 'read schema'],
    ["SELECT \"E\"'\\', '; DROP TABLE t; --'", 'read schema'], // a quoted type and its literal
    ["SELECT e'\\', '; DROP TABLE t; --'", 'read schema'],
    ["SELECT e'\\'; DROP TABLE t; --'", 'read'],
    ["SELECT xe'\\', '; DROP TABLE t; --'", 'read schema'], // xe '…' is a type and its literal
    // Legal one way only.
    ["SELECT a LIKE 'b' ESCAPE '\\'", 'read'],
    ["SELECT a LIKE 'b' ESCAPE '\\' AND c LIKE 'd' ESCAPE '\\'", 'read'],
    ["SELECT 'it\\'s'", 'read'],
    ["SELECT 'it\\'s' || 'it\\'s'", 'read'],
    // The same both ways.
    ["/**/ SELECT '\\xDEADBEEF', 'C:\\users\\x', '\\\\', '^\\d+$'", 'read'],
    ["/**/ SELECT set_config('rol\\145', 'x', true)", 'privilege read session'],
    ['/**/ SELECT U&\'\\0041\' FROM U&"d\\0061t"', 'read'],
    ["SELECT U&'\\', ';DELETE FROM t;--'", 'unknown'],
    // A backslash outside of quotes is no SQL.
    ['SELECT 1 \\', 'unknown'],
    ['SELECT \\g', 'unknown'],
  ];
  for (const [text, expected] of cases) assert.equal(effectsOf(text), expected, text);
});

test('what the two readings are', () => {
  const readings = readingsOf(Buffer.from("SELECT '\\'', E'\\'', '\\\\' -- '\\'"));
  assert.ok(readings !== null);
  assert.equal(readings.conforming, false);
  const escaping = readingsOf(Buffer.from("SELECT 'a\\'b', $$\\'$$, \"\\\" /* \\' */"))?.escaping;
  assert.equal(escaping && Buffer.from(escaping).toString(), "SELECT '?', $$\\'$$, \"\\\" /* \\' */");
});

test('bytes that another client encoding would read as half a letter are not believed', () => {
  // 0x83 0x5c is one letter in SJIS: the literal ends elsewhere.
  assert.equal(effectsOf(sjis("SELECT E'é\\'; DELETE FROM t; --'")), 'unknown');
  assert.equal(effectsOf(sjis("SELECT 'é\\'")), 'unknown');
  // 0x83 0x7c is one letter in SJIS: what follows belongs to the name, and is no quote.
  assert.equal(effectsOf(sjis('SELECT aé|$$; DROP TABLE t; --$$')), 'unknown');
  assert.equal(effectsOf(sjis('SELECT aé|f(1)')), 'unknown');
  for (const byte of '@[\\]^`{|}~')
    assert.equal(effectsOf(sjis(`SELECT é${byte} 1 FROM t`)), 'unknown', byte);
  // Inside a literal nothing but a backslash counts.
  assert.equal(effectsOf(sjis("/**/ SELECT 'é|é@é~'")), 'read');
  // Names that are not UTF-8 are other names in each encoding.
  assert.equal(effectsOf(Buffer.from('SELECT * FROM caf\xe9', 'latin1')), 'read unknown');
  assert.equal(effectsOf(Buffer.from("SELECT 'caf\xe9' FROM t", 'latin1')), 'read');
});

test('names beyond ASCII are UTF-8, also as a database with an encoding of single bytes folds them', () => {
  const facts = classifier.classify(Buffer.from('SELECT * FROM CAFÉ, Straße'));
  assert.deepEqual(facts.relations, ['cafÉ', 'café', 'straße']);
});
