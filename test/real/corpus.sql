-- Statements whose answers must be the same through the relay as directly, byte for byte: results, notices, errors with
-- their positions and details, psql's own commands. Append only. No statement prints a pid, a time or a port.
\set VERBOSITY verbose
SELECT 1;
SELECT 1 AS a, NULL AS b, '' AS c, 'tab	and "quotes"' AS d, E'line\nbreak' AS e;
;
SELECT;
SELECT 1 \; SELECT 2 \; SELECT 3;
SELECT 1 \; SELECT 1/0 \; SELECT 3;
SELECT 1/0;
SELECT * FROM no_such_table;
SELECT nope FROM pg_class;
SELEC 1;
SELECT 'unterminated
';
SELECT $tag$dollar 'quoted' $$ text$tag$, U&'d\0061t\+000061', B'1010', X'1FF';
SELECT 'Zażółć gęślą jaźń', '日本語', '🙂', chr(233);
\encoding LATIN1
SELECT chr(233);
\encoding UTF8
CREATE TEMP TABLE t (id int PRIMARY KEY, v text, n numeric(12,4), j jsonb, a int[], b bytea, r int4range);
INSERT INTO t SELECT g, repeat('v', g), g * 1.5, jsonb_build_object('g', g), ARRAY[g, g + 1], decode(lpad(to_hex(g), 8, '0'), 'hex'), int4range(g, g + 3) FROM generate_series(1, 50) g;
SELECT * FROM t ORDER BY id;
\x on
SELECT * FROM t WHERE id = 7;
\x off
\pset null '(null)'
SELECT NULL, (SELECT v FROM t WHERE id = 99);
\pset null ''
\a
\t
SELECT id, v FROM t WHERE id < 4 ORDER BY id;
\a
\t
INSERT INTO t (id) VALUES (1);
UPDATE t SET v = 'x' WHERE id > 40;
DELETE FROM t WHERE id > 45 RETURNING id, v;
MERGE INTO t USING (VALUES (1), (100)) AS s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 'merged' WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id);
BEGIN;
SAVEPOINT s1;
SELECT 1/0;
SELECT 'refused in a failed transaction';
ROLLBACK TO s1;
SELECT count(*) FROM t;
COMMIT;
BEGIN;
SELECT bad;
COMMIT;
COMMIT;
DO $$ BEGIN RAISE NOTICE 'a notice: %', 42; RAISE WARNING 'a warning' USING HINT = 'a hint', DETAIL = 'a detail'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = 'P0042', HINT = 'a hint', DETAIL = 'a detail', COLUMN = 'c', TABLE = 't'; END $$;
DO $$ BEGIN FOR i IN 1..200 LOOP RAISE NOTICE 'notice %', i; END LOOP; END $$;
PREPARE p (int, text) AS SELECT $1 + 1, upper($2);
EXECUTE p (41, 'answer');
EXECUTE p ('x', 'y');
DEALLOCATE p;
EXECUTE p (1, 'gone');
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 10);
FETCH 3 FROM c;
MOVE 2 IN c;
FETCH ALL FROM c;
CLOSE c;
COMMIT;
\set FETCH_COUNT 7
SELECT * FROM generate_series(1, 20);
\unset FETCH_COUNT
COPY (SELECT id, v FROM t WHERE id < 6 ORDER BY id) TO STDOUT;
COPY (SELECT id, v FROM t WHERE id < 6 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY t (id, v) FROM STDIN;
200	copied
201	\N
202	back\\slash\tand tab
\.
SELECT id, v FROM t WHERE id >= 200 ORDER BY id;
COPY t (id, v) FROM STDIN WITH (FORMAT csv);
300,"quoted, comma"
300,duplicate
\.
COPY t (id) FROM STDIN;
not a number
\.
COPY no_such FROM STDIN;
COPY t TO '/nonexistent/for/lack/of/right';
SELECT 'first' \; COPY (SELECT 1) TO STDOUT \; SELECT 'last';
SELECT id, 'SELECT ' || id AS q FROM t WHERE id < 3 ORDER BY id \gset row_
SELECT 1 AS one, 2 AS two \gset
\echo :one :two
SELECT format('SELECT %s * 2', g) FROM generate_series(1, 3) g \gexec
SELECT id, v, n FROM t \gdesc
SELECT id % 3 AS a, id % 2 AS b, count(*) FROM t WHERE id <= 30 GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
EXPLAIN (COSTS off) SELECT * FROM t WHERE id = 1;
SHOW search_path;
SET search_path TO pg_catalog;
SHOW search_path;
RESET search_path;
SET TimeZone TO 'Asia/Tokyo';
SELECT timestamptz '2026-01-01 00:00:00Z', interval '1 year 2 mons 3 days', date '2026-02-28', time '12:34:56.789';
SET DateStyle TO 'German';
SELECT date '2026-02-28';
SET bytea_output TO 'escape';
SELECT '\x00ff41'::bytea;
SET standard_conforming_strings TO off;
SELECT 'a\\b';
SET standard_conforming_strings TO on;
SELECT current_user, session_user, current_database();
\d t
\dt pg_temp.*
\df pg_catalog.upper
\dT pg_catalog.int4
\du app
SELECT point(1,2), box '((0,0),(1,1))', inet '10.0.0.0/8', macaddr '08:00:2b:01:02:03', uuid '00000000-0000-0000-0000-000000000001', money '12.34', xml '<a>b</a>', tsvector 'a b c', bit '101', 'NaN'::float8, 'Infinity'::float4, 1e300::float8, 12345678901234567890::numeric;
SELECT ROW(1, 'two', NULL), ARRAY[ARRAY[1,2],ARRAY[3,NULL]], '{"a":[1,2,{"b":null}]}'::json, '[1,5)'::int8range, '{[1,2],[5,6]}'::int4multirange;
SELECT lo_create(424242);
SELECT lo_put(424242, 0, 'large object'::bytea), lo_get(424242);
SELECT lo_unlink(424242);
SELECT repeat('x', 100000) AS wide;
SELECT length(repeat('x', 1000000));
SELECT g, repeat(chr(65 + g % 26), 200) FROM generate_series(1, 500) g;
SELECT string_agg(format('c%s', g), ',') FROM generate_series(1, 1500) g;
CREATE FUNCTION pg_temp.f(int) RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, $1)';
SELECT * FROM pg_temp.f(3);
CALL no_such_procedure();
VACUUM pg_temp.t;
BEGIN;
VACUUM;
ROLLBACK;
LOCK TABLE t;
SET statement_timeout TO '10ms';
SELECT pg_sleep(60);
RESET statement_timeout;
SET client_min_messages TO debug1;
SELECT 1;
RESET client_min_messages;
SELECT 'the end';
