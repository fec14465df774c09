/** What statements do, one line each: effects; relations; functions; programs. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { openClassifier } from '../../../../src/protocols/postgres/sql/classifier.ts';
import { statementRules } from '../../../../src/protocols/postgres/sql/statements.ts';
import type { CommandFacts } from '../../../../src/model/command-facts.ts';

const classifier = await openClassifier();
const factsOf = (text: string): CommandFacts => classifier.classify(Buffer.from(text));
const shown = (facts: CommandFacts): string =>
  [facts.effects, facts.relations, facts.functions, facts.programs]
    .map((list) => list.join(' '))
    .join('; ')
    .replace(/[; ]+$/, '');

const table: readonly (readonly [string, string])[] = [
  ['SELECT 1', 'read'],
  ['TABLE t', 'read; t'],
  ['VALUES (1), (2)', 'read'],
  ['select a.x, "B".y from s.a, "B"', 'read; B a s.a'],
  ['SELECT * FROM Customers, "Customers"', 'read; Customers customers'],
  ['SELECT * FROM db.public.customers', 'read; customers public.customers'],
  ['SELECT * FROM "a.b", a.b', 'read; "a.b" a.b b'],
  ['SELECT U&"*" FROM U&"d\\0061t\\+000061"', 'read; data'],
  ['SELECT lower(a), pg_catalog.upper(b), count(*) FROM t', 'read; t; count lower pg_catalog.upper upper'],
  ['SELECT f(1)', 'code read; ; f'],
  ['SELECT app.lower(a)', 'code read; ; app.lower lower'],
  ['SELECT * FROM f(1) AS t', 'code read; ; f'],
  ["SELECT 1 WHERE EXISTS (SELECT pg_read_file('x'))", 'file read; ; pg_read_file'],
  ["SELECT nextval('s'), setval('s', 1)", 'read write; ; nextval setval'],
  ["SELECT lo_import('/etc/passwd')", 'file read write; ; lo_import'],
  ['SELECT lo_unlink(1), lo_put(1, 2, 3)', 'delete read write; ; lo_put lo_unlink'],
  ['SELECT pg_terminate_backend(1)', 'privilege read; ; pg_terminate_backend'],
  ["SELECT query_to_xml('delete from t', true, true, '')", 'code read; ; query_to_xml'],
  ["SELECT set_config('work_mem', '1MB', false)", 'read session; ; set_config'],
  ["SELECT set_config('role', 'x', false)", 'privilege read session; ; set_config'],
  ["SELECT set_config('ro' || 'le', 'x', false)", 'privilege read session; ; set_config'],
  [
    "SELECT set_config(setting_name => 'role', new_value => 'x', is_local => false)",
    'privilege read session; ; set_config',
  ],
  ['SELECT a OPERATOR(app.+) b FROM t', 'code read; t'],
  ['SELECT * FROM t TABLESAMPLE app.sample (1)', 'code read; t'],
  ['SELECT * FROM t TABLESAMPLE bernoulli (1)', 'read; t'],
  ['SELECT a INTO x FROM b', 'read schema write; b x'],
  ['SELECT a FROM b FOR UPDATE OF b', 'read session; b'],
  ['SELECT a FROM b UNION (SELECT c INTO TEMP d FROM e)', 'read schema write; b d e'],
  ["INSERT INTO t VALUES (1, 'x')", 'write; t'],
  ['INSERT INTO t VALUES ((SELECT max(a) FROM u))', 'read write; t u; max'],
  ['INSERT INTO t SELECT * FROM u', 'read write; t u'],
  ['INSERT INTO t VALUES (1) RETURNING a', 'read write; t'],
  ['INSERT INTO t DEFAULT VALUES', 'write; t'],
  ['UPDATE t SET a = 1 WHERE b = 2', 'write; t'],
  ['UPDATE t SET a = 1', 'unbounded write; t'],
  ['UPDATE t SET a = 1 WHERE true', 'unbounded write; t'],
  ['UPDATE t SET a = 1 WHERE 1 = 1', 'unbounded write; t'],
  ['UPDATE t SET a = 1 WHERE b = 1 OR 1 = 1', 'unbounded write; t'],
  ['UPDATE t SET a = 1 WHERE b = 1 AND 1 = 1', 'write; t'],
  ['UPDATE t SET a = 1 WHERE b = b', 'unbounded write; t'],
  ['UPDATE t SET a = 1 WHERE now() IS NOT NULL', 'unbounded write; t; '],
  ['UPDATE t SET a = 1 WHERE CURRENT OF c', 'write; t'],
  ['UPDATE t SET a = s.a FROM s WHERE s.b = 1', 'read unbounded write; s t'],
  ['UPDATE t SET a = s.a FROM s WHERE s.b = t.b', 'read write; s t'],
  ['UPDATE t AS x SET a = 1 FROM t AS y WHERE y.b = 1', 'read unbounded write; t'],
  ['DELETE FROM t WHERE a IN (1, 2)', 'delete; t'],
  ['DELETE FROM ONLY t', 'delete unbounded; t'],
  ['DELETE FROM t WHERE t.a >= a', 'delete unbounded; t'],
  ['DELETE FROM t USING s WHERE s.id = 1', 'delete read unbounded; s t'],
  ['TRUNCATE a, b.c', 'delete unbounded; a b.c c'],
  ['UPDATE pg_settings SET setting = 1 WHERE name = 2', 'privilege schema session write; pg_settings'],
  [
    'MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)',
    'read write; s t',
  ],
  ['MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE', 'delete read unbounded write; s t'],
  [
    'MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED BY SOURCE THEN DELETE',
    'delete read unbounded write; s t',
  ],
  ['WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d', 'delete read unbounded; t'],
  ['WITH t AS (SELECT * FROM t) SELECT * FROM t', 'read; t'],
  ['WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t', 'read'],
  ['WITH t AS (SELECT 1) SELECT * FROM public.t', 'read; public.t t'],
  ['WITH t AS (SELECT 1) INSERT INTO t SELECT * FROM t', 'read write; t'],
  ['SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) x, t', 'read; t'],
  ['(WITH t AS (SELECT 1) SELECT * FROM t) UNION SELECT * FROM t', 'read; t'],
  ['EXPLAIN DELETE FROM t', 'read; t'],
  ['EXPLAIN ANALYZE DELETE FROM t', 'delete unbounded; t'],
  ['EXPLAIN (ANALYZE, VERBOSE) DELETE FROM t', 'delete unbounded; t'],
  ['EXPLAIN (ANALYZE off) DELETE FROM t', 'read; t'],
  ['EXPLAIN (ANALYZE 0) DELETE FROM t', 'read; t'],
  ["EXPLAIN (ANALYZE 'true') DELETE FROM t", 'delete unbounded; t'],
  ['EXPLAIN SELECT f(1)', 'code read; ; f'],
  ['EXPLAIN ANALYZE EXECUTE p', 'code'],
  ['CREATE TABLE t (a int DEFAULT f())', 'code schema; t; f'],
  ['CREATE TABLE t AS SELECT * FROM u', 'read schema write; t u'],
  ['CREATE TABLE t AS EXECUTE p', 'code schema write; t'],
  ['CREATE MATERIALIZED VIEW v AS SELECT * FROM u', 'read schema write; u v'],
  ['CREATE VIEW v AS SELECT * FROM u', 'read schema; u v'],
  ['CREATE SCHEMA s CREATE TABLE t (a int) GRANT SELECT ON t TO x', 'privilege schema; t'],
  ['DROP TABLE a, b.c', 'schema; a b.c c'],
  ['DROP TRIGGER x ON s.t', 'schema; s.t t'],
  ['DROP POLICY x ON s.t', 'privilege schema; s.t t'],
  ['DROP FUNCTION f', 'schema'],
  ['ALTER TABLE t ADD COLUMN a int', 'schema; t'],
  ['ALTER TABLE t OWNER TO x', 'privilege schema; t'],
  ['ALTER TABLE t DISABLE ROW LEVEL SECURITY', 'privilege schema; t'],
  ['ALTER TABLE t DISABLE TRIGGER ALL', 'code schema; t'],
  ['ALTER TABLE t RENAME TO u', 'schema; t'],
  ['COMMENT ON TABLE s.t IS NULL', 'schema; s.t t'],
  ['COMMENT ON COLUMN s.t.c IS NULL', 'schema; s.t t'],
  ["DO 'x'", 'code'],
  ['CALL p(1)', 'code; ; p'],
  ['EXECUTE p(1)', 'code'],
  ["LOAD 'x'", 'code file'],
  ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'", 'code schema'],
  ["CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'select 1'", 'code privilege schema'],
  [
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM t; RETURN 1; END',
    'code delete schema unbounded; t',
  ],
  ['CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()', 'code schema; t'],
  ['CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u', 'code delete schema unbounded; t u'],
  ['CREATE EXTENSION dblink', 'code schema'],
  ["CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p", 'code privilege schema'],
  ["ALTER SYSTEM SET archive_command = 'x'", 'code privilege'],
  ['PREPARE p AS DELETE FROM t', 'delete session unbounded; t'],
  ['DECLARE c CURSOR FOR SELECT * FROM t', 'read session; t'],
  ['FETCH 1 FROM c', 'read session'],
  ['COPY t FROM STDIN', 'copy write; t'],
  ['COPY t TO STDOUT', 'copy read; t'],
  ['COPY (DELETE FROM t RETURNING *) TO STDOUT', 'copy delete read unbounded; t'],
  ["COPY t FROM '/etc/passwd'", 'copy file write; t'],
  ["COPY t TO PROGRAM 'sh -c x'", 'copy file read; t; ; sh -c x'],
  ['SET work_mem = 1', 'session'],
  ['SET ROLE x', 'privilege session'],
  ['SET LOCAL "role" = x', 'privilege session'],
  ['SET SESSION AUTHORIZATION x', 'privilege session'],
  ['RESET ROLE', 'privilege session'],
  ['DISCARD ALL', 'privilege session'],
  ['DISCARD PLANS', 'session'],
  ['SHOW work_mem', 'session'],
  ["PREPARE TRANSACTION 'x'", 'session'],
  ["COMMIT PREPARED 'x'", 'code session'],
  ["ROLLBACK PREPARED 'x'", 'code session'],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'session'],
  ['LOCK TABLE t', 'session; t'],
  ['NOTIFY c', 'session'],
  ['GRANT SELECT ON t TO x', 'privilege; t'],
  ['CREATE ROLE x', 'privilege'],
  ['ALTER ROLE x RENAME TO y', 'privilege schema'],
  ['CREATE POLICY p ON t USING (true)', 'privilege; t'],
  ['SELECT 1; DELETE FROM t', 'delete read unbounded; t'],
  ['', ''],
  [' ;; -- nothing\n /* at /* all */ */ ;', ''],
  ['SELEC 1', 'unknown'],
  ['SELECT 1; SELEC', 'unknown'],
  ['fastpath 2345', 'code'],
  ['fastpath x', 'unknown'],
  ['\\d t', 'unknown'],
  ['SELECT :var', 'unknown'],
];

test('each kind of statement has the effects of what it does, and names what it touches', () => {
  const wrong: string[] = [];
  for (const [text, expected] of table) {
    const actual = shown(factsOf(text));
    const wanted = expected.replace(/[; ]+$/, '');
    // A row may leave out functions that are beside its point.
    if (actual !== wanted && !(expected.endsWith('; ') && actual.startsWith(wanted)))
      wrong.push(`${text}\n  expected ${wanted}\n  actual   ${actual}`);
  }
  assert.deepEqual(wrong, []);
});

test('every statement of the grammar has a rule: a new version of the parser cannot bring one unseen', () => {
  const require = createRequire(import.meta.url);
  const entry = require.resolve('@pgsql/types', { paths: [require.resolve('libpg-query')] });
  const types = readFileSync(path.join(path.dirname(entry), 'types.d.ts'), 'utf8');
  const kinds = [...types.matchAll(/interface (\w+Stmt) /g)].map((match) => match[1]!);
  assert.ok(kinds.length > 100, `${kinds.length} kinds of statements`);
  assert.deepEqual(
    kinds.filter((kind) => !statementRules.has(kind)),
    [],
  );
});

test('equal facts are one object, frozen, whichever text they come from', () => {
  const facts = factsOf('SELECT a FROM t WHERE b = 1');
  assert.equal(facts, factsOf('select /* as a text */ a, b from T'));
  assert.equal(facts, factsOf('SELECT a FROM t WHERE b = 2'));
  assert.ok(Object.isFrozen(facts) && Object.isFrozen(facts.effects) && Object.isFrozen(facts.relations));
});

test('describe takes a text apart into its statements', () => {
  const text = "SELECT 'ä;' ; -- why\n DELETE FROM t; ";
  const parts = classifier.describe(Buffer.from(text));
  assert.deepEqual(
    parts.map((part) => [part.text, shown(part.facts)]),
    [
      ["SELECT 'ä;'", 'read'],
      ['DELETE FROM t', 'delete unbounded; t'],
    ],
  );
  const [broken] = classifier.describe(Buffer.from('SELECT 1; SELEC'));
  assert.deepEqual([broken?.text, broken?.facts.effects], ['SELECT 1; SELEC', ['unknown']]);
});
