/** The classifier against a real server: what it says, the server does; what it lists, the server has. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import pg from 'pg';
import { openClassifier } from '../../../../src/protocols/postgres/sql/classifier.ts';
import { knownFunctions } from '../../../../src/protocols/postgres/sql/functions.ts';
import { readingsOf } from '../../../../src/protocols/postgres/sql/lexer.ts';
import { postgresMissing, startPostgres } from '../../../support/postgres.ts';
import { readOnlyStatements, setup } from './statements.ts';

const options = { skip: postgresMissing };
const server = postgresMissing === false ? await startPostgres() : null;
after(() => server?.stop());
const classifier = await openClassifier();
const effectsOf = (text: string): readonly string[] => classifier.classify(Buffer.from(text)).effects;

async function withClient<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  assert.ok(server !== null);
  const client = new pg.Client({ connectionString: server.url('postgres') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Functions that a client can call by name and that neither compute nor read the catalog only. */
const volatileFunctions = `
  SELECT DISTINCT p.proname FROM pg_proc p
  WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'`;

/** Those that no client can call: their arguments or their result are the server's own. */
const uncallable = `(p.proargtypes::text ~ '(^| )2281( |$)' OR p.prorettype IN
  ('trigger'::regtype, 'internal'::regtype, 'event_trigger'::regtype, 'index_am_handler'::regtype,
   'table_am_handler'::regtype, 'fdw_handler'::regtype, 'tsm_handler'::regtype, 'language_handler'::regtype))`;

test('every function of the catalog has its category, or is code', options, async () => {
  await withClient(async (client) => {
    const rows = async (text: string) =>
      (await client.query<{ proname: string }>(text)).rows.map((row) => row.proname);
    const version = Number((await client.query('SHOW server_version_num')).rows[0].server_version_num);
    const all = new Set(
      await rows("SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"),
    );
    const changing = await rows(volatileFunctions);
    // A volatile function that is harmless is so because somebody has looked at it: it is in a category by hand.
    const callable = await rows(`${volatileFunctions} AND NOT ${uncallable}`);
    const missing = callable.filter(
      (name) => !knownFunctions.has(name) && !/^(binary_upgrade_|plpgsql_)/.test(name),
    );
    const stable =
      await rows(`SELECT DISTINCT p.proname FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace
      AND NOT ${uncallable} AND p.proname NOT IN (${volatileFunctions})`);
    assert.ok(changing.length > 200 && stable.length > 1900);
    // Another version's functions are not all known here, and that is why they are code.
    if (version < 160000 && version >= 150000) {
      assert.deepEqual(missing, [], 'volatile functions without a category');
      assert.deepEqual(
        stable.filter((name) => !knownFunctions.has(name)),
        [],
        'functions that are not listed',
      );
    }
    const harmless = [...knownFunctions].filter(
      (name) => effectsOf(`SELECT "${name}"()`).join() === 'read' && changing.includes(name),
    );
    assert.deepEqual(
      harmless.filter((name) => !callable.includes(name)),
      [],
    );
    assert.ok(all.size > 2500);
  });
});

test(
  'what is classified as read changes nothing: the server gives it no transaction id',
  options,
  async (t) => {
    await withClient(async (client) => {
      await client.query(setup);
      const ran: string[] = [];
      for (const text of readOnlyStatements) {
        const effects = effectsOf(text).join();
        assert.equal(effects, 'read', text);
        await client.query('BEGIN');
        try {
          await client.query(text);
          const { rows } = await client.query('SELECT pg_current_xact_id_if_assigned() AS id');
          assert.equal(rows[0].id, null, text);
          ran.push(text);
        } catch (error) {
          // What this version of the server does not have yet.
          if (!(error instanceof pg.DatabaseError)) throw error;
          t.diagnostic(`${error.message}: ${text}`);
        }
        await client.query('ROLLBACK');
      }
      assert.ok(
        ran.length > 0.9 * readOnlyStatements.length,
        `${ran.length} of ${readOnlyStatements.length} ran`,
      );
    });
  },
);

test('a function called by attribute notation is seen: the server does call it', options, async () => {
  await withClient(async (client) => {
    for (const text of [
      "SELECT ('PG_VERSION'::text).pg_read_file",
      "SELECT f.pg_read_file FROM unnest(ARRAY['PG_VERSION']) AS f",
      "SELECT (x.x).pg_read_file FROM (SELECT 'PG_VERSION'::text AS x) x",
    ]) {
      const { rows } = await client.query(text);
      assert.match(rows[0].pg_read_file, /^\d+/);
      assert.deepEqual(effectsOf(text), ['file', 'read'], text);
    }
  });
});

const pieces = fc.constantFrom(
  "'",
  "'",
  "'",
  '\\',
  '\\',
  'a',
  'E',
  'e',
  'N',
  'U&',
  'b',
  ' ',
  '\n',
  ',',
  ';',
  '--',
  '/*',
  '*/',
  '"',
  '$$',
  '$a$',
  '1',
  '||',
  ' x',
  'é',
  '\\u0041',
  '\\x41',
);

test(
  'a function of the database called by attribute notation on single values is seen',
  options,
  async () => {
    await withClient(async (client) => {
      await client.query(
        "CREATE FUNCTION purge(int) RETURNS text LANGUAGE sql AS $$ SELECT 'purged ' || $1 $$",
      );
      for (const text of [
        'SELECT x.purge FROM generate_series(1, 2) AS x',
        'SELECT generate_series.purge FROM generate_series(1, 2)',
        'SELECT x.purge FROM unnest(ARRAY[1, 2]) AS x(y)',
        'SELECT (SELECT x.purge) FROM generate_series(1, 2) AS x',
        'SELECT "coalesce".purge FROM COALESCE(1)',
        'SELECT int4.purge FROM CAST(1 AS int4)',
        "SELECT x.purge FROM generate_series(1, 1) AS x UNION ALL SELECT '' FROM generate_series(1, 1) AS x(purge)",
      ]) {
        const { rows } = await client.query<Record<string, string>>(text);
        assert.equal(Object.values(rows[0]!)[0], 'purged 1', text);
        assert.deepEqual(effectsOf(text), ['code', 'read'], text);
      }
    });
  },
);

test(
  'quotes end where they end for the server, under both settings of standard_conforming_strings',
  options,
  async (t) => {
    await withClient(async (on) => {
      await withClient(async (off) => {
        await on.query('SET standard_conforming_strings = on');
        await off.query(
          'SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = on',
        );
        let accepted = 0;
        const property = fc.asyncProperty(fc.array(pieces, { maxLength: 14 }), async (parts) => {
          const text = `SELECT ${parts.join('')} SELECT 1 -- ' */`;
          const readings = readingsOf(Buffer.from(text));
          if (readings === null) return;
          for (const [client, possible] of [
            [on, readings.conforming],
            [off, readings.escaping !== null],
          ] as const) {
            const code = await errorOf(client, text);
            const legal =
              code !== '42601' &&
              code !== '22025' &&
              code !== '22021' &&
              code !== '22P06' &&
              code !== '0A000';
            if (legal) accepted += 1;
            if (legal) assert.ok(possible, `${client === on ? 'on' : 'off'} ${code}: ${text}`);
          }
        });
        await fc.assert(property, { numRuns: 3000 });
        t.diagnostic(`${accepted} readings of 3000 texts were legal`);
        assert.ok(accepted > 20);
      });
    });
  },
);

async function errorOf(client: pg.Client, text: string): Promise<string | null> {
  try {
    await client.query(text);
    return null;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error.code ?? '';
    throw error;
  }
}
