-- One table with every common type, and the objects around tables that a dump carries.
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE shop.pair AS (a int, b text);
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE shop.numbers START 1000;
CREATE TABLE shop.everything (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  small smallint, whole integer, big bigint, exact numeric(30,10), r real, d double precision, cash money,
  flag boolean, c char(5), v varchar(20), t text, bin bytea, u uuid,
  day date, moment time, momenttz timetz, stamp timestamp, stamptz timestamptz, span interval,
  net inet, block cidr, mac macaddr, mac8 macaddr8,
  j json, jb jsonb, doc xml, vec tsvector, q tsquery,
  bits bit(8), vbits varbit, p point, l line, s lseg, bx box, pa path, po polygon, ci circle,
  ints int[], texts text[][], rng int4range, trng tstzrange, mrng int8multirange,
  feeling shop.mood, duo shop.pair, pos shop.positive, half numeric GENERATED ALWAYS AS (exact / 2) STORED
);
INSERT INTO shop.everything (small, whole, big, exact, r, d, cash, flag, c, v, t, bin, u, day, moment, momenttz, stamp,
  stamptz, span, net, block, mac, mac8, j, jb, doc, vec, q, bits, vbits, p, l, s, bx, pa, po, ci, ints, texts, rng, trng,
  mrng, feeling, duo, pos)
SELECT g % 30000, g, g::bigint * 10000000000, g * 1.0000000001, g / 7.0, g / 3.0, g::numeric::money, g % 2 = 0, 'abc',
  'varchar ' || g, E'text with\ttabs, "quotes", \\ and newline\n' || repeat('é🙂', g % 50), decode(md5(g::text), 'hex'),
  md5(g::text)::uuid, date '2000-01-01' + g, time '00:00' + g * interval '1 second', timetz '12:00+05:30',
  timestamp '2026-01-01' + g * interval '1 minute', timestamptz '2026-01-01Z' + g * interval '1 hour',
  g * interval '1 day 2 hours', '10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
  json_build_object('k', g), jsonb_build_object('k', g, 'n', NULL, 'a', ARRAY[1,2]), xmlelement(name a, g),
  to_tsvector('simple', 'some words ' || g), to_tsquery('simple', 'words & some'), '10101010', '101', point(g, -g),
  '{1,2,3}', '[(0,0),(1,1)]', '((0,0),(2,2))', '((0,0),(1,1),(2,0))', '((0,0),(1,1),(2,0))', '<(1,2),3>',
  ARRAY[g, NULL, g + 1], ARRAY[ARRAY['a','b"c'],ARRAY[NULL,'{}']], int4range(g, g + 10), tstzrange('2026-01-01Z', NULL),
  '{[1,5),[10,20)}', (ARRAY['sad','ok','happy']::shop.mood[])[g % 3 + 1], ROW(g, 'b,"' || g)::shop.pair, g
FROM generate_series(1, 2000) AS g;
INSERT INTO shop.everything (t) VALUES (NULL), ('');
CREATE INDEX ON shop.everything (whole) WHERE flag;
CREATE VIEW shop.happy AS SELECT id, t FROM shop.everything WHERE feeling = 'happy';
CREATE MATERIALIZED VIEW shop.counts AS SELECT feeling, count(*) FROM shop.everything GROUP BY feeling;
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.everything FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TABLE shop.parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE shop.parts_2026 PARTITION OF shop.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO shop.parts SELECT g, date '2026-01-01' + g % 300 FROM generate_series(1, 1000) g;
COMMENT ON TABLE shop.everything IS 'it''s a comment — with a dash';
SELECT lo_from_bytea(7000001, decode(repeat('00ff', 30000), 'hex'));
