/** A shape stands for every text that has it: what is looked up by shape is what a parse of the text itself tells. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BytesCache, keyBuffer } from '../../../../src/protocols/postgres/sql/cache.ts';
import { openClassifier } from '../../../../src/protocols/postgres/sql/classifier.ts';
import { FactsBuilder } from '../../../../src/protocols/postgres/sql/facts.ts';
import { SqlParser } from '../../../../src/protocols/postgres/sql/parser.ts';
import { readStatement } from '../../../../src/protocols/postgres/sql/reader.ts';
import { Shaper } from '../../../../src/protocols/postgres/sql/shape.ts';
import { Templates } from '../../../../src/protocols/postgres/sql/template.ts';

const shaper = new Shaper();
const shapeOf = (text: string | Uint8Array): string | null => {
  const length = shaper.run(typeof text === 'string' ? Buffer.from(text) : text);
  return length < 0 ? null : Buffer.from(shaper.key.bytes.subarray(0, length)).toString();
};

const shapes: readonly (readonly [string, string | null])[] = [
  ['SELECT a FROM t WHERE b = 123;', 'SELECT a FROM t WHERE b = 1'],
  [" select 1.5, .5e-3, 2e10, 'it''s', '', t1.a2 ", "select 1, '', t1.a2 "],
  ["SELECT 'é \\x' || 'a\\\\'", "SELECT '' || ''"],
  ['SELECT a FROM t WHERE b IN (1, 22,333 ) AND c = $12', 'SELECT a FROM t WHERE b IN (1 ) AND c = $12'],
  ["SELECT f(1, 'a', 'b', 2, 3, x, 4)", "SELECT f(1, '', 1, x, 1)"],
  ['SELECT f(1, 2 + 3)', 'SELECT f(1, 1 + 1)'],
  ["INSERT INTO t VALUES (1, -2, NULL), (3,'x',DEFAULT)", "INSERT INTO t VALUES ('')"],
  ["INSERT INTO t VALUES (1, now()), ('a', 1), (3, now())", "INSERT INTO t VALUES ('', now()), ('')"],
  [
    'insert into t (a) values (1), (2) on conflict (a) do update set b = (2)',
    "insert into t (a) values ('') on conflict (a) do update set b = (1)",
  ],
  ['SELECT "a\'b""c" FROM "é"', 'SELECT "a\'b""c" FROM "é"'],
  ["SELECT 'a'\n'b'", "SELECT ''\n''"],
  // What has no shape.
  ["SELECT 'a\\'", null],
  ["SELECT 'é\\'", null],
  ["SELECT 'Á_'", null],
  ["SELECT 'a", null],
  ['SELECT "a', null],
  ["SELECT E'a'", null],
  ["SELECT n'a'", null],
  ["SELECT U&'a'", null],
  ['SELECT U&"a"', null],
  ['SELECT $$a$$', null],
  ['SELECT $a$a$a$', null],
  ['SELECT 1 -- a', null],
  ['SELECT 1 /* a */', null],
  ['SELECT 1; SELECT 2', null],
  ['SELECT é', null],
  ['SELECT 1a', null],
  ['SELECT 0x1F', null],
  ['SELECT 1_000', null],
  ['SELECT 1..2', null],
  ['SELECT $1a', null],
  ['DELETE FROM t WHERE.5 = .5', null],
  ['SELECT 1\0', null],
  ["SELECT '\0'", null],
  ["SELECT '\\\0'", null],
  ['SELECT \\', null],
  ['selects', null],
  ["EXPLAIN (ANALYZE 'off') DELETE FROM t", null],
  ["COPY t TO PROGRAM 'x'", null],
  ["SET ROLE 'x'", null],
];

test('a shape leaves out what literals say, and nothing else', () => {
  for (const [text, expected] of shapes) assert.equal(shapeOf(text), expected, text);
});

test('a shape that is longer than its text is whole', () => {
  for (const columns of [100, 4000]) {
    const blanks = ' '.repeat(Math.max(0, 16_300 - 5 * columns));
    const text = (one: string) =>
      `INSERT INTO t VALUES (${`${one},a,`.repeat(columns)}a)${blanks} RETURNING a, f(a)`;
    const fresh = new Shaper();
    const length = fresh.run(Buffer.from(text('1')));
    assert.equal(Buffer.from(fresh.key.bytes.subarray(0, length)).toString(), text("''"));
  }
});

test('a shape is its own shape', () => {
  for (const [text] of shapes) {
    const shape = shapeOf(text);
    if (shape !== null) assert.equal(shapeOf(shape), shape, text);
  }
});

const parser = await SqlParser.open();
const classifier = await openClassifier();

/** Facts by a parse of the text itself; null: no SQL. */
function parsed(text: string): { effects: string[]; names: string[] } | null {
  const statements = parser.parse(Buffer.from(text));
  if (statements === null) return null;
  const facts = new FactsBuilder();
  for (const { tree } of statements) readStatement(tree, facts);
  return {
    effects: [...facts.effects].toSorted(),
    names: [...facts.relations, '|', ...facts.functions].toSorted(),
  };
}

const fixed = (...texts: string[]) => fc.constantFrom(...texts);
const column = fixed('a', 'b', 't.a', 's.c', '"d e"', 'x1');
const relation = fixed('t', 's', 'public.t', '"T"', 'u AS t');
const constant = fc.oneof(
  fc.integer({ min: -9, max: 99 }).map(String),
  fixed(
    "''",
    "'x'",
    "'it''s'",
    "'role'",
    "'\\x00'",
    '1.5',
    '.5',
    '2e3',
    'NULL',
    'true',
    '$1',
    "'a' 'b'",
    "'a'\n'b'",
  ),
);
const { expression, condition, select } = fc.letrec<{
  expression: string;
  condition: string;
  select: string;
}>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    constant,
    column,
    fc
      .tuple(
        fixed('lower', 'f', 'set_config', 'nextval', 'coalesce', 'numeric'),
        fc.array(tie('expression'), { maxLength: 4 }),
      )
      .map(([name, list]) => `${name}(${list.join(fixedComma)})`),
    fc
      .tuple(tie('expression'), fixed('+', '-', '||', '*', ' + '), tie('expression'))
      .map((parts) => parts.join('')),
    fc
      .tuple(tie('expression'), fixed('::numeric(10, 2)', '::text', ' IS NULL'))
      .map((parts) => parts.join('')),
    tie('select').map((query) => `(${query})`),
  ),
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .tuple(tie('expression'), fixed('=', ' = ', '<', ' >= '), tie('expression'))
      .map((parts) => parts.join('')),
    fc
      .tuple(column, fc.array(constant, { minLength: 1, maxLength: 5 }))
      .map(([name, list]) => `${name} IN (${list.join(', ')})`),
    fc.tuple(tie('condition'), fixed(' AND ', ' OR '), tie('condition')).map((parts) => parts.join('')),
    tie('condition').map((inner) => `NOT (${inner})`),
    tie('select').map((query) => `EXISTS (${query})`),
  ),
  select: fc
    .tuple(fc.array(tie('expression'), { minLength: 1, maxLength: 3 }), relation, fc.option(tie('condition')))
    .map(
      ([list, name, where]) =>
        `SELECT ${list.join(', ')} FROM ${name}${where === null ? '' : ` WHERE ${where}`}`,
    ),
}));
const fixedComma = ', ';
const where = fc.option(condition).map((text) => (text === null ? '' : ` WHERE ${text}`));
const row = fc.array(expression, { minLength: 1, maxLength: 4 }).map((list) => `(${list.join(',')})`);
const statement = fc.oneof(
  select,
  fc
    .tuple(
      relation,
      fc.array(row, { minLength: 1, maxLength: 5 }),
      fixed('', ' ON CONFLICT DO NOTHING', ' RETURNING 1, 1'),
    )
    .map(([name, rows, end]) => `INSERT INTO ${name} VALUES ${rows.join(', ')}${end}`),
  fc.tuple(relation, expression, where).map(([name, value, end]) => `UPDATE ${name} SET a = ${value}${end}`),
  fc.tuple(relation, where).map(([name, end]) => `DELETE FROM ${name}${end}`),
  fc.tuple(select, where).map(([query, end]) => `WITH w AS (${query}) DELETE FROM t${end}`),
);

test('facts by shape are those of the text, whatever its literals', () => {
  let looked = 0;
  fc.assert(
    fc.property(statement, fixed('', ';', ' ; '), (text, end) => {
      const whole = text + end;
      if (shapeOf(whole) !== null) looked += 1;
      const expected = parsed(whole);
      const facts = classifier.classify(Buffer.from(whole));
      const actual = {
        effects: [...facts.effects],
        names: [...facts.relations, '|', ...facts.functions].toSorted(),
      };
      assert.deepEqual(actual, expected ?? { effects: ['unknown'], names: ['|'] }, whole);
    }),
    { numRuns: 4000 },
  );
  assert.ok(looked > 1000, `${looked} of the statements had a shape`);
});

test('a text that fits the template of another has the facts of its own parse', () => {
  const templates = new Templates<string>();
  let fitted = 0;
  // Statements that differ in a constant, or by a byte or two: fitting must mean the same shape.
  const change = fc.tuple(
    fc.nat(),
    fixed('', '7', "'y'", "'", ' ', ';', '.', 'e1', 'x', '$1', '\\', '--', '\0', "''", '"'),
    fc.nat({ max: 3 }),
  );
  fc.assert(
    fc.property(
      statement,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fixed('', ';'),
      (text, changes, end) => {
        const whole = Buffer.from(text + end);
        const shape = shapeOf(whole);
        if (shape !== null) templates.add(whole, Buffer.from(shape), shape);
        for (const [place, bytes, removed] of changes) {
          const at = place % (text.length + 1);
          const changed = Buffer.from(text.slice(0, at) + bytes + text.slice(at + removed) + end);
          const found = templates.get(changed);
          if (found === undefined) continue;
          fitted += 1;
          assert.equal(found, shapeOf(changed), `${whole} / ${changed}`);
        }
      },
    ),
    { numRuns: 6000 },
  );
  assert.ok(fitted > 20, `${fitted} texts fitted`);
});

test('a template takes other constants, and nothing else', () => {
  const templates = new Templates<number>();
  const text = "SELECT a FROM t WHERE b = 12 AND c = 'x' AND d = $1;";
  templates.add(Buffer.from(text), Buffer.from(shapeOf(text)!), 1);
  const get = (other: string) => templates.get(Buffer.from(other));
  assert.equal(get(text), 1);
  assert.equal(get("SELECT a FROM t WHERE b = 3.5e7 AND c = 'it''s' AND d = $1"), 1);
  assert.equal(get("SELECT a FROM t WHERE b = 3 AND c = 'ä \\x' AND d = $1; ; "), 1);
  for (const other of [
    "SELECT a FROM t WHERE b = 3x AND c = 'x' AND d = $1",
    "SELECT a FROM t WHERE b = '3' AND c = 'x' AND d = $1",
    "SELECT a FROM t WHERE b = 3 AND c = 'x\\' AND d = $1",
    "SELECT a FROM t WHERE b = 3 AND c = 'x",
    "SELECT a FROM t WHERE b = 3 AND c = 'x' AND d = $12",
    "SELECT a FROM t WHERE b = 3 AND c = 'x' AND d = $1; x",
    "SELECT a FROM t WHERE b = 3 AND c = 'x' AND d = $1 --",
    "SELECT a FROM t WHERE b = 3 AND c = 'x' AND d = $1 OR true",
    "SELECT a FROM T WHERE b = 3 AND c = 'x' AND d = $1",
    "SELECT a FROM t WHERE b = 3 AND c = E'x' AND d = $1",
  ])
    assert.equal(get(other), undefined, other);
  // A shape that leaves out more than constants has none.
  const list = 'SELECT a FROM t WHERE b IN (1, 2, 3)';
  templates.add(Buffer.from(list), Buffer.from(shapeOf(list)!), 2);
  assert.equal(get(list), undefined);
});

test('long lists and many rows have short shapes', () => {
  const ids = Array.from({ length: 10_000 }, (_, index) => index).join(', ');
  assert.equal(shapeOf(`SELECT a FROM t WHERE b IN (${ids})`), 'SELECT a FROM t WHERE b IN (1)');
  const rows = Array.from({ length: 10_000 }, (_, index) =>
    index % 3 === 0 ? `(${index}, now())` : `('x', NULL)`,
  );
  assert.equal(shapeOf(`INSERT INTO t VALUES ${rows.join(', ')}`), "INSERT INTO t VALUES ('', now()), ('')");
});

test('the table of shapes is bounded, finds what it was given last, and confuses no keys', () => {
  const cache = new BytesCache<string>();
  const key = keyBuffer(64);
  const put = (text: string): number => Buffer.from(key.bytes.buffer).write(text);
  for (let index = 0; index < 20_000; index += 1) {
    const length = put(`key ${index}`);
    assert.equal(cache.get(key, length), undefined);
    cache.set(key, length, `value ${index}`);
    assert.equal(cache.get(key, length), `value ${index}`);
  }
  let kept = 0;
  for (let index = 0; index < 20_000; index += 1) {
    const value = cache.get(key, put(`key ${index}`));
    if (value === undefined) continue;
    assert.equal(value, `value ${index}`);
    kept += 1;
  }
  assert.ok(kept > 2000 && kept <= 4096, `${kept} are kept`);
  // The bytes behind a key do not belong to it.
  put('abcdexyz');
  assert.equal(cache.get(key, 5), undefined);
  cache.set(key, 5, 'abcde');
  put('abcdefgh');
  assert.equal(cache.get(key, 5), 'abcde');
  put('abcdefgh');
  assert.equal(cache.get(key, 8), undefined);
});
