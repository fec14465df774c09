/** Statements of PostgreSQL's many features that only read, for the comparison with a server. */
export const setup = `
  CREATE TABLE IF NOT EXISTS people (id int PRIMARY KEY, name text, born date, tags text[], extra jsonb, home point, span int4range);
  INSERT INTO people SELECT i, 'name ' || i, date '2000-01-01' + i, ARRAY['a', 'b'], jsonb_build_object('k', i, 'l', jsonb_build_array(1, 2)), point(i, i), int4range(i, i + 5)
    FROM generate_series(1, 20) AS i ON CONFLICT DO NOTHING;
  CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, person int, amount numeric, placed timestamptz DEFAULT now());
  INSERT INTO orders SELECT i, i % 20, i * 1.5 FROM generate_series(1, 50) AS i ON CONFLICT DO NOTHING;
  CREATE OR REPLACE VIEW totals AS SELECT person, sum(amount) AS total FROM orders GROUP BY person;
`;

const expressions = `
1; -1; 1.5e3; 'text'; E'a\\\\nb'; $$dollar$$; $a$nested $$ in$a$; U&'d\\0061t'; NULL; true; date '2020-01-01'; interval '1 day'; b'101'; x'1F'
id + 1; id % 2; id ^ 2; |/ id; @ id; id & 1; id # 1; ~id; id << 1; id BETWEEN 1 AND 3; id IN (1, 2); id NOT IN (SELECT person FROM orders)
id = ANY (ARRAY[1, 2]); id = ALL (SELECT 1); id IS DISTINCT FROM 1; id IS NOT NULL; name LIKE 'n%'; name ILIKE '%A'; name SIMILAR TO 'n(a|b)'; name ~ '^n'; name !~* 'x'
name || 'x'; lower(name); upper(name); initcap(name); length(name); char_length(name); octet_length(name); substring(name, 1, 2); substring(name FROM 1 FOR 2); substring(name FROM 'a.'); overlay(name PLACING 'x' FROM 1 FOR 1); position('a' IN name); strpos(name, 'a'); trim(name); trim(BOTH 'x' FROM name); ltrim(name); rtrim(name, 'x'); lpad(name, 20, '*'); rpad(name, 20); replace(name, 'a', 'b'); translate(name, 'ab', 'xy'); reverse(name); repeat(name, 2); left(name, 2); right(name, 2); split_part(name, ' ', 1); concat(name, id); concat_ws(',', name, id); format('%s %I %L', name, name, name); md5(name); sha256(name::bytea); encode(name::bytea, 'hex'); decode('6161', 'hex'); ascii(name); chr(65); quote_ident(name); quote_literal(name); quote_nullable(name); regexp_match(name, 'a'); regexp_replace(name, 'a', 'b', 'g'); regexp_count(name, 'a'); regexp_like(name, 'a'); regexp_substr(name, 'a'); starts_with(name, 'n'); to_hex(id); string_to_array(name, ' '); unistr('\\0041'); normalize(name, NFC); name IS NFC NORMALIZED; name COLLATE "C"
abs(id); ceil(1.5); floor(1.5); round(1.55, 1); trunc(1.5); sign(id); sqrt(id); cbrt(id); exp(1); ln(id); log(id); log(2, id); power(id, 2); mod(id, 3); div(id, 3); gcd(id, 4); lcm(id, 4); pi(); sin(id); cosd(id); atan2(1, 2); degrees(1); radians(1); width_bucket(id, 0, 10, 5); random(); factorial(5); scale(1.50); min_scale(1.50); greatest(id, 2); least(id, 2)
now(); current_timestamp; current_date; localtime; clock_timestamp(); statement_timestamp(); transaction_timestamp(); timeofday(); age(born); age(born, date '1990-01-01'); extract(year FROM born); date_part('month', born); date_trunc('month', born); date_bin('1 day', now(), now()); make_date(2020, 1, 1); make_interval(days => 1); to_char(born, 'YYYY'); to_date('2020', 'YYYY'); to_timestamp(0); to_number('1', '9'); justify_days(interval '40 days'); isfinite(born); born + 1; (born, born + 5) OVERLAPS (born, born + 1); now() AT TIME ZONE 'UTC'; born - date '2000-01-01'
tags[1]; tags[1:1]; array_length(tags, 1); cardinality(tags); array_append(tags, 'c'); array_prepend('c', tags); array_cat(tags, tags); array_position(tags, 'a'); array_remove(tags, 'a'); array_replace(tags, 'a', 'b'); array_to_string(tags, ','); array_dims(tags); tags @> ARRAY['a']; tags && ARRAY['b']; 'a' = ANY (tags); ARRAY(SELECT id FROM orders); ARRAY[[1, 2], [3, 4]]; trim_array(tags, 1); array_fill(1, ARRAY[2])
extra -> 'k'; extra ->> 'k'; extra #> '{l,0}'; extra @> '{}'; extra ? 'k'; extra - 'k'; extra || '{}'; jsonb_set(extra, '{k}', '1'); jsonb_typeof(extra); jsonb_pretty(extra); jsonb_path_query_array(extra, '$.l[*]'); jsonb_path_exists(extra, '$.k'); extra @? '$.k'; to_jsonb(name); to_json(name); json_build_object('a', 1); json_build_array(1, 2); row_to_json(people); jsonb_strip_nulls(extra); jsonb_insert(extra, '{l,0}', '9'); extra['k']; jsonb_extract_path(extra, 'k'); json_extract_path_text(extra::json, 'k'); extra IS NOT NULL; jsonb_array_length(extra -> 'l')
home <-> point(0, 0); home[0]; box(home, home); circle(home, 1); area(circle(home, 1)); span @> 3; span * int4range(1, 3); lower(span); upper_inf(span); isempty(span); range_merge(span, span); int4multirange(span)
id::text; CAST(id AS numeric(10, 2)); id::regclass::text; 'people'::regclass; text 'x'; id::bit(8); ROW(1, 'a'); (1, 2) = (1, 2); CASE WHEN id > 1 THEN 'a' ELSE 'b' END; CASE id WHEN 1 THEN 2 END; coalesce(name, ''); nullif(id, 1); pg_typeof(id); num_nulls(id, name)
inet '10.0.0.1' << inet '10.0.0.0/8'; host(inet '10.0.0.1'); masklen(inet '10.0.0.0/8'); macaddr '08:00:2b:01:02:03'; gen_random_uuid(); uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'; to_tsvector('a b') @@ to_tsquery('a'); plainto_tsquery('a b'); ts_rank(to_tsvector('a'), to_tsquery('a')); ts_headline('a b', to_tsquery('a')); setweight(to_tsvector('a'), 'A'); numnode(to_tsquery('a'))
xmlelement(name a, 'b'); xmlforest(name, id); xmlconcat(xml '<a/>', xml '<b/>'); xpath('/a', xml '<a/>'); xmlparse(CONTENT '<a/>'); xmlserialize(CONTENT xml '<a/>' AS text); xml '<a/>' IS DOCUMENT; xmlexists('/a' PASSING xml '<a/>'); xml_is_well_formed('<a/>')
current_user; session_user; current_role; user; current_catalog; current_schema; current_database(); version(); current_setting('work_mem'); pg_backend_pid(); inet_server_addr(); current_schemas(true); has_table_privilege('people', 'SELECT'); pg_has_role('postgres', 'MEMBER'); to_regclass('people'); obj_description(1, 'pg_class'); col_description(1, 1); format_type(23, NULL); pg_get_userbyid(10); pg_table_is_visible('people'::regclass); pg_relation_size('people'); pg_total_relation_size('people'); pg_size_pretty(100::bigint); pg_database_size(current_database()); pg_get_expr(NULL, 0); pg_get_viewdef('totals'::regclass); pg_get_indexdef('people_pkey'::regclass); txid_current_if_assigned(); pg_current_snapshot(); pg_is_in_recovery(); pg_postmaster_start_time(); pg_encoding_to_char(6); pg_client_encoding(); pg_column_size(name); pg_blocking_pids(1); hashtext(name)
`;

const queries = `
SELECT * FROM people
SELECT p.* FROM people AS p WHERE p.id = 1
TABLE people
VALUES (1, 'a'), (2, 'b')
SELECT DISTINCT person FROM orders
SELECT DISTINCT ON (person) person, amount FROM orders ORDER BY person, amount DESC NULLS LAST
SELECT count(*), sum(amount), avg(amount), min(amount), max(amount), stddev(amount), variance(amount) FROM orders
SELECT count(DISTINCT person) FILTER (WHERE amount > 1) FROM orders
SELECT array_agg(id ORDER BY id DESC), string_agg(name, ','), json_agg(people), jsonb_object_agg(name, id), bool_and(true), every(true) FROM people
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY person) FROM orders
SELECT rank() OVER w, row_number() OVER w, lag(amount) OVER w, first_value(amount) OVER w, ntile(3) OVER w FROM orders WINDOW w AS (PARTITION BY person ORDER BY amount ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
SELECT sum(amount) OVER (ORDER BY id RANGE UNBOUNDED PRECEDING EXCLUDE TIES) FROM orders
SELECT person, sum(amount) FROM orders GROUP BY person HAVING sum(amount) > 1
SELECT person, id, sum(amount) FROM orders GROUP BY GROUPING SETS ((person), (id), ())
SELECT person, grouping(person), sum(amount) FROM orders GROUP BY ROLLUP (person)
SELECT person, id FROM orders GROUP BY CUBE (person, id)
SELECT * FROM people JOIN orders ON orders.person = people.id LEFT JOIN totals USING (person)
SELECT * FROM people CROSS JOIN orders LIMIT 5
SELECT * FROM people NATURAL JOIN totals LIMIT ALL
SELECT * FROM people FULL JOIN orders ON people.id = orders.id OFFSET 2 ROWS FETCH FIRST 3 ROWS ONLY
SELECT * FROM people p, LATERAL (SELECT * FROM orders o WHERE o.person = p.id) x
SELECT * FROM people p CROSS JOIN LATERAL unnest(p.tags) WITH ORDINALITY AS u(tag, n)
SELECT u.ordinality, u.unnest FROM people, unnest(tags) WITH ORDINALITY AS u
SELECT j.key, j.value FROM people, jsonb_each(extra) AS j
SELECT e.value FROM people, jsonb_array_elements(extra -> 'l') AS e
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY[1, 2])) AS r(a, b)
SELECT * FROM jsonb_to_recordset('[{"a":1}]') AS x(a int)
SELECT * FROM json_populate_record(NULL::people, '{"id":1}')
SELECT * FROM xmltable('/a/b' PASSING xml '<a><b>1</b></a>' COLUMNS v int PATH '.')
SELECT * FROM regexp_split_to_table('a b', ' ') AS w
SELECT g.g, g::text FROM generate_series(1, 3) AS g
SELECT * FROM generate_series(timestamp '2020-01-01', timestamp '2020-01-03', '1 day')
SELECT * FROM generate_subscripts(ARRAY[1, 2], 1)
SELECT * FROM string_to_table('a,b', ',')
SELECT id FROM people UNION SELECT id FROM orders
SELECT id FROM people UNION ALL SELECT id FROM orders ORDER BY 1
SELECT id FROM people INTERSECT SELECT id FROM orders
(SELECT id FROM people LIMIT 1) EXCEPT ALL (SELECT id FROM orders LIMIT 1)
WITH a AS (SELECT * FROM people) SELECT * FROM a
WITH a AS MATERIALIZED (SELECT * FROM people), b AS NOT MATERIALIZED (SELECT * FROM a) SELECT * FROM a JOIN b USING (id)
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n) FROM t
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT * FROM t
SELECT * FROM people WHERE EXISTS (SELECT 1 FROM orders WHERE orders.person = people.id)
SELECT * FROM people WHERE id = (SELECT max(person) FROM orders)
SELECT (SELECT name FROM people WHERE id = 1), ARRAY(SELECT id FROM orders)
SELECT * FROM people WHERE (id, name) IN (SELECT id, name FROM people)
SELECT * FROM (SELECT id FROM people) AS s(x) WHERE x > 1
SELECT * FROM (VALUES (1, 'a')) AS v(a, b)
SELECT * FROM people TABLESAMPLE system (50)
SELECT * FROM people TABLESAMPLE bernoulli (50) REPEATABLE (1)
SELECT * FROM ONLY people
SELECT people FROM people
SELECT people.ctid, people.xmin, people.tableoid::regclass FROM people
SELECT * FROM pg_catalog.pg_class WHERE relname = 'people'
SELECT * FROM information_schema.columns WHERE table_name = 'people'
SELECT (information_schema._pg_expandarray(indkey)).n FROM pg_index LIMIT 1
SELECT * FROM pg_stat_activity
SELECT * FROM pg_settings
SELECT * FROM pg_locks
SELECT * FROM pg_available_extensions LIMIT 1
EXPLAIN SELECT * FROM people
EXPLAIN (FORMAT json, COSTS off) DELETE FROM people
EXPLAIN UPDATE people SET name = 'x'
EXPLAIN INSERT INTO people (id) VALUES (1)
EXPLAIN CREATE TABLE x AS SELECT * FROM people
EXPLAIN ANALYZE SELECT * FROM people
EXPLAIN (ANALYZE, BUFFERS, TIMING off) SELECT count(*) FROM orders
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(people)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped LIMIT 5
SELECT json_object('a': 1)
SELECT json_arrayagg(id) FROM people
SELECT * FROM json_table('[1,2]', '$[*]' COLUMNS (a int PATH '$'))
SELECT any_value(id) FROM people
`;

const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

export const readOnlyStatements: readonly string[] = [
  ...lines(expressions).flatMap((line) => line.split('; ').map((each) => `SELECT ${each} FROM people`)),
  ...lines(expressions).flatMap((line) =>
    line.split('; ').map((each) => `/* as text */ SELECT id, ${each} AS x FROM people WHERE id = 1`),
  ),
  ...lines(queries),
];
