/**
 * Texts that do more than they look like, each with the way it tries. Append only: what has slipped past a policy once
 * stays here. `atLeast`: effects that must be among those it is given.
 */
export interface Bypass {
  readonly text: string | Buffer;
  readonly atLeast: string;
  readonly why: string;
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

export const bypasses: readonly Bypass[] = [
  { text: 'SELECT 1;DELETE FROM t', atLeast: 'delete', why: 'a second statement' },
  { text: '/* SELECT 1 */ DELETE FROM t', atLeast: 'delete', why: 'a first word that is a comment' },
  { text: '-- SELECT\rDELETE FROM t', atLeast: 'delete', why: 'a carriage return ends a comment' },
  { text: 'SELECT 1 /* /* */ ; */ ; DROP TABLE t', atLeast: 'schema', why: 'comments nest' },
  { text: 'SELECT 1 /* */; DROP TABLE t -- */', atLeast: 'schema', why: 'a comment inside a comment’s end' },
  { text: "SELECT 'a''; --'; DROP TABLE t", atLeast: 'schema', why: 'a doubled quote' },
  { text: 'SELECT $$; $a$ $$; DROP TABLE t', atLeast: 'schema', why: 'another tag inside a dollar quote' },
  {
    text: 'SELECT $a$ $A$ $a$; DROP TABLE t; --$A$',
    atLeast: 'schema',
    why: 'tags of dollar quotes have cases',
  },
  {
    text: 'SELECT a$$; DROP TABLE t; --$$ FROM u',
    atLeast: 'schema',
    why: 'a dollar inside a name opens nothing',
  },
  { text: "SELECT E'\\'; DROP TABLE t; --'; DELETE FROM t", atLeast: 'delete', why: 'an escaped quote' },
  {
    text: "SELECT '\\'; DROP TABLE t; --'",
    atLeast: 'schema',
    why: 'standard_conforming_strings = off, set in the same packet',
  },
  {
    text: "SELECT '\\' || ' ; DROP TABLE t; --'",
    atLeast: 'schema',
    why: 'the same, legal under both settings',
  },
  {
    text: latin1("SELECT '\x83\\'; DROP TABLE t; --'"),
    atLeast: 'unknown',
    why: 'half a letter of SJIS is a backslash',
  },
  {
    text: latin1('SELECT a\x83|$$; DROP TABLE t; --$$'),
    atLeast: 'unknown',
    why: 'half a letter of SJIS is an operator',
  },
  { text: 'SELECT 1\0; DROP TABLE t', atLeast: 'unknown', why: 'a NUL ends the text for a parser in C' },
  {
    text: 'WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x',
    atLeast: 'delete unbounded',
    why: 'a CTE that writes',
  },
  {
    text: 'SELECT * FROM (WITH x AS (SELECT 1) SELECT lo_unlink(1) FROM x) y',
    atLeast: 'delete',
    why: 'a function in a subquery',
  },
  { text: 'SELECT * INTO x FROM t', atLeast: 'schema write', why: 'a SELECT that makes a table' },
  {
    text: '(SELECT 1 UNION SELECT * INTO x FROM t)',
    atLeast: 'schema write',
    why: 'INTO where it must not be',
  },
  { text: 'EXPLAIN ANALYZE DELETE FROM t', atLeast: 'delete', why: 'EXPLAIN that runs' },
  { text: 'EXPLAIN (ANALYZE false, ANALYZE) DELETE FROM t', atLeast: 'delete', why: 'an option given twice' },
  {
    text: 'EXPLAIN (VERBOSE, "analyze" 1) DELETE FROM t',
    atLeast: 'delete',
    why: 'an option that is quoted',
  },
  { text: 'PREPARE p AS DELETE FROM t', atLeast: 'delete', why: 'prepared now, executed unseen' },
  { text: 'EXECUTE p', atLeast: 'code', why: 'the name of anything' },
  { text: 'CREATE TABLE x AS EXECUTE p', atLeast: 'code', why: 'EXECUTE inside another statement' },
  { text: 'EXPLAIN ANALYZE EXECUTE p', atLeast: 'code', why: 'EXECUTE inside EXPLAIN' },
  { text: 'DECLARE c CURSOR FOR SELECT lo_unlink(1)', atLeast: 'delete', why: 'a cursor runs later' },
  { text: "DO LANGUAGE plpgsql 'begin delete from t; end'", atLeast: 'code', why: 'code as text' },
  { text: "COPY t TO PROGRAM 'curl x'", atLeast: 'copy file', why: 'a program of the server' },
  { text: "COPY (SELECT 1) TO '/tmp/x'", atLeast: 'copy file', why: 'a file of the server' },
  {
    text: 'COPY (DELETE FROM t RETURNING *) TO STDOUT',
    atLeast: 'delete',
    why: 'COPY of a statement that writes',
  },
  { text: 'COPY t FROM STDIN WHERE f()', atLeast: 'code', why: 'a condition of COPY' },
  { text: 'SET ROLE postgres', atLeast: 'privilege', why: 'another role' },
  { text: 'SET LOCAL SESSION AUTHORIZATION postgres', atLeast: 'privilege', why: 'another user' },
  { text: 'SET "role" TO postgres', atLeast: 'privilege', why: 'SET ROLE as a setting' },
  { text: 'RESET ROLE', atLeast: 'privilege', why: 'back to the role of the login' },
  { text: 'DISCARD ALL', atLeast: 'privilege', why: 'RESET ROLE under another name' },
  {
    text: "SELECT set_config('role', 'postgres', false)",
    atLeast: 'privilege',
    why: 'SET ROLE as a function',
  },
  {
    text: "SELECT pg_catalog.set_config('ROLE', 'postgres', false)",
    atLeast: 'privilege',
    why: 'the same in capitals',
  },
  {
    text: "SELECT set_config(E'r\\157le', 'postgres', false)",
    atLeast: 'privilege',
    why: 'the same, escaped',
  },
  {
    text: "SELECT set_config('r\\157le', 'postgres', false)",
    atLeast: 'privilege',
    why: 'the same, escaped if backslashes are',
  },
  {
    text: "SELECT set_config(U&'r\\006fle', 'postgres', false)",
    atLeast: 'privilege',
    why: 'the same in Unicode',
  },
  { text: 'SELECT set_config($1, $2, false)', atLeast: 'privilege', why: 'the same as a parameter' },
  {
    text: "SELECT set_config('a', 'b', true), set_config('role', 'x', true)",
    atLeast: 'privilege',
    why: 'after one that is harmless',
  },
  {
    text: "UPDATE pg_settings SET setting = 'postgres' WHERE name = 'role'",
    atLeast: 'privilege',
    why: 'SET ROLE as an UPDATE',
  },
  {
    text: "UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname = 'x'",
    atLeast: 'privilege',
    why: 'GRANT as an UPDATE',
  },
  {
    text: "SELECT ('/etc/passwd'::text).pg_read_file",
    atLeast: 'file',
    why: 'a function by attribute notation',
  },
  {
    text: "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/passwd']) AS f",
    atLeast: 'file',
    why: 'the same on the row of a function',
  },
  {
    text: 'SELECT x.purge FROM generate_series(1, 9) AS x',
    atLeast: 'code',
    why: 'the same, of the database',
  },
  { text: 'SELECT (1).purge', atLeast: 'code', why: 'the same on an expression' },
  {
    text: 'SELECT * FROM query_to_xml($$DELETE FROM t RETURNING *$$, true, true, $$$$)',
    atLeast: 'code',
    why: 'a query as text',
  },
  { text: "SELECT * FROM ts_stat('DELETE FROM t')", atLeast: 'code', why: 'a query as text, in text search' },
  {
    text: "SELECT table_to_xml('secret', true, true, '')",
    atLeast: 'code',
    why: 'a relation that is not named',
  },
  {
    text: "SELECT * FROM dblink('', 'DELETE FROM t') AS x(a int)",
    atLeast: 'code',
    why: 'another connection',
  },
  { text: 'SELECT public.lower(1)', atLeast: 'code', why: 'a built-in’s name in another schema' },
  { text: 'SELECT 1 OPERATOR(public.+) 1', atLeast: 'code', why: 'an operator of the database' },
  { text: 'DELETE FROM t WHERE 1=1', atLeast: 'unbounded', why: 'a condition that is none' },
  { text: "DELETE FROM t WHERE 'a' LIKE 'a'", atLeast: 'unbounded', why: 'the same with literals' },
  {
    text: 'DELETE FROM t WHERE id = 1 OR NOT false',
    atLeast: 'unbounded',
    why: 'the same behind one that is',
  },
  { text: 'DELETE FROM t WHERE id = id', atLeast: 'unbounded', why: 'a column compared with itself' },
  {
    text: 'DELETE FROM t USING u WHERE u.id = 1',
    atLeast: 'unbounded',
    why: 'a condition on another relation',
  },
  {
    text: 'MERGE INTO t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE',
    atLeast: 'delete unbounded',
    why: 'DELETE as a MERGE',
  },
  {
    text: 'CREATE SCHEMA s GRANT ALL ON t TO x',
    atLeast: 'privilege',
    why: 'a statement inside CREATE SCHEMA',
  },
  { text: 'CREATE TABLE x (a int DEFAULT f())', atLeast: 'code', why: 'a default that calls' },
  { text: 'ALTER TABLE t ALTER a TYPE int USING f(a)', atLeast: 'code', why: 'a conversion that calls' },
  { text: 'CREATE INDEX ON t (f(a))', atLeast: 'code', why: 'an index that calls' },
  { text: 'TABLE t; TRUNCATE t', atLeast: 'delete unbounded', why: 'the short form of SELECT' },
  {
    text: `SELECT ${'('.repeat(5000)}1${')'.repeat(5000)}; DROP TABLE t`,
    atLeast: 'schema',
    why: 'parentheses without end',
  },
  {
    text: `SELECT ${'a || '.repeat(20_000)} a; DROP TABLE t`,
    atLeast: 'unknown',
    why: 'a tree too deep to be read',
  },
  {
    text: `SELECT '${'a'.repeat(2 ** 20)}'; DROP TABLE t`,
    atLeast: 'unknown',
    why: 'longer than what is parsed',
  },
  {
    text: `INSERT INTO t VALUES ${'(1),'.repeat(10_000)} (f())`,
    atLeast: 'code write',
    why: 'a call behind many rows',
  },
  {
    text: `INSERT INTO t VALUES ${'(1),'.repeat(2000)} (1); DROP TABLE t`,
    atLeast: 'schema',
    why: 'a statement behind many rows',
  },
  {
    text: `SELECT a FROM t WHERE b IN (${'1,'.repeat(10_000)} f())`,
    atLeast: 'code',
    why: 'a call behind many constants',
  },
  {
    text: latin1('SELECT $\x87T$ a $\xfaJ$; DROP TABLE t; SELECT $\xfaJ$ b $\x87T$'),
    atLeast: 'unknown',
    why: 'a tag that SJIS spells in two ways',
  },
  {
    text: latin1("SELECT E'\x81_', '; DROP TABLE t; --'"),
    atLeast: 'unknown',
    why: 'a letter of SHIFT_JIS_2004 that is a backslash',
  },
  {
    text: latin1("SELECT '\x81_', '; DROP TABLE t; --'"),
    atLeast: 'unknown',
    why: 'the same where backslashes are escapes',
  },
  {
    text: latin1("SELECT '\x81_\\', '; DROP TABLE t; --'"),
    atLeast: 'unknown',
    why: 'the same before one that is ASCII',
  },
  {
    text: latin1("SELECT a\x81\xb0$$, '$$; DROP TABLE t; --'"),
    atLeast: 'unknown',
    why: 'a letter of SHIFT_JIS_2004 that is an operator',
  },
  { text: "SELECT '\0\\'x'", atLeast: 'unknown', why: 'a NUL in a literal with a backslash' },
  {
    text: 'SELECT x.purge FROM generate_series(1, 9) x UNION SELECT 1 FROM generate_series(1, 1) x(purge)',
    atLeast: 'code',
    why: 'attribute notation where the alias has such a column elsewhere',
  },
  {
    text: "SELECT f.pg_read_file FROM unnest(ARRAY['x']) f UNION SELECT '' FROM unnest(ARRAY['']) f(pg_read_file)",
    atLeast: 'file',
    why: 'the same with a built-in',
  },
  {
    text: 'SELECT "coalesce".purge FROM COALESCE(1)',
    atLeast: 'code',
    why: 'attribute notation on a source that has no name in the text',
  },
  { text: 'SELECT int4.purge FROM CAST(1 AS int4)', atLeast: 'code', why: 'the same, named after a type' },
  {
    text: latin1('SELECT "\x87T".purge FROM generate_series(1, 9) AS "\xfaJ"'),
    atLeast: 'unknown',
    why: 'an alias that SJIS spells in two ways',
  },
  {
    text: 'SELECT 1 OPERATOR(app.=) ANY (SELECT 1)',
    atLeast: 'code',
    why: 'an operator of the database before a query',
  },
  {
    text: 'SELECT a FROM t ORDER BY a USING OPERATOR(app.<)',
    atLeast: 'code',
    why: 'an operator of the database that sorts',
  },
  {
    text: 'ALTER TABLE t ADD EXCLUDE USING gist (a WITH OPERATOR(app.=))',
    atLeast: 'code',
    why: 'an operator of the database that excludes',
  },
  { text: 'DROP POLICY p ON t', atLeast: 'privilege', why: 'row security as a DROP' },
  { text: "COMMIT PREPARED 'x'", atLeast: 'code', why: 'what somebody else has prepared' },
];
