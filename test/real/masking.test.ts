/** Masking with the real engine, a real PostgreSQL and real clients: no original arrives, and types still parse. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { knownTypes, Layout } from '../../src/protocols/postgres/masking/types.ts';
import { openClassifier } from '../../src/protocols/postgres/sql/classifier.ts';
import { dialTo, listenRelay, targetOptions } from '../protocols/postgres/support.ts';
import type { RelayServer } from '../protocols/postgres/support.ts';
import { maskingOf } from '../protocols/postgres/masking/support.ts';
import type { Rule } from '../protocols/postgres/masking/support.ts';
import { passwordOf, postgresMissing, startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { card, leaked, paths, psql, schema } from './masking.ts';

const options = { skip: postgresMissing };
const rows = 400;
let server: PostgresServer;
let classify: NonNullable<Parameters<typeof listenRelay>[2]>['classify'];
const relays: RelayServer[] = [];

before(async () => {
  if (postgresMissing !== false) return;
  server = await startPostgres({});
  await server.sql(schema(rows));
  const classifier = await openClassifier();
  classify = (text) => classifier.classify(text);
});
after(async () => {
  for (const relay of relays) await relay.stop();
  await server?.stop();
});

const rules = (mode: NonNullable<Rule['mode']>): Rule[] => [
  { columns: ['public.people.note'], mode },
  { detect: ['email', 'card', 'us-ssn'], mode },
];

async function relayWith(...given: Rule[]): Promise<RelayServer> {
  const relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    masking: maskingOf(...given),
    classify: classify!,
  });
  relays.push(relay);
  return relay;
}

for (const mode of ['redact', 'hash', 'null'] as const) {
  test(`${mode}: no path lets an original through, to psql or to the record of output`, options, async () => {
    const relay = await relayWith(...rules(mode));
    for (const [name, script] of Object.entries(paths)) {
      const taken = await psql(server, relay.port, script);

      assert.equal(taken.leak, null, `${name}: ${taken.stderr}`);
      const gate = relay.gates.at(-1)!;
      for (const { bytes } of gate.outputs) assert.equal(leaked(bytes), null, name);
      if (!['parameters', 'explain'].includes(name))
        assert.ok(gate.redactions.length > 0, `${name} ${taken.stderr}`);
      assert.doesNotMatch(taken.stderr, /FATAL|lost|protocol/, name);
    }
  });
}

test('without masking the same paths do show them: the tests above can fail', options, async () => {
  for (const name of ['select', 'copy binary', 'an error', 'notifications', 'column names']) {
    const taken = await psql(server, server.port, paths[name]!, { flags: ['-U', 'app'] });
    const direct = taken.leak ?? leaked(Buffer.from(await server.sql(paths[name]!).catch(String)));
    assert.notEqual(direct, null, name);
  }
});

for (const binary of [false, true]) {
  test(
    `pg, ${binary ? 'binary' : 'text'} format: values parse as their types, and the others are untouched`,
    options,
    async () => {
      const relay = await relayWith(...rules('redact'));
      const client = new pg.Client({ host: '127.0.0.1', port: relay.port, user: 'ana', database: 'app', ...(binary ? { binary } : {}) }); // prettier-ignore
      await client.connect();
      const { rows: found } = await client.query('select * from people where id <= $1 order by id', [10]);
      await client.end();
      const direct = new pg.Client({ connectionString: server.url(), ...(binary ? { binary } : {}) });
      await direct.connect();
      const { rows: plain } = await direct.query(
        'select 1000000000000000::int8 as big, ts, d, u, ip from people where id = $1',
        [1],
      );
      await direct.end();
      assert.equal(found.length, 10);
      const [first] = found;
      assert.equal(first.mail, '*'.repeat('u1@example.com'.length));
      // pg misreads int8 and timestamps in binary format, and so they are compared with its own reading.
      for (const name of ['big', 'ts', 'd', 'u'])
        assert.equal(String(first[name]), String(plain[0][name]), name);
      assert.match(first.note, /^\*+$/);
      assert.equal(first.id, 1);
      assert.equal(first.ok, true);
      if (!binary) {
        assert.deepEqual(first.jb, { mail: '*************', card: 1e15, deep: ['***********', true, null] });
        assert.equal(first.j.n, 12.5);
        assert.deepEqual(first.t, ['*************', 'plain, "quoted" \\ text', '***********']);
        assert.deepEqual(first.i, ['1000000000000000', '7']);
        assert.equal(first.u, '8f14e45f-ceea-467f-a9c6-3f2d8a1b0c5d');
        assert.match(first.x, /^<a href="mailto:\*+">[*]+ &amp; more<\/a>$/);
      }
      for (const gate of relay.gates) for (const { bytes } of gate.outputs) assert.equal(leaked(bytes), null);
    },
  );
}

test('what is masked can be read again: COPY out and in, text, CSV and binary', options, async () => {
  const relay = await relayWith(...rules('redact'));
  await server.sql(
    'create table again (like people); grant all on again to app; alter table again drop constraint if exists again_pkey',
  );
  const columns = 'id, v, big, num, j, jb, x, t, i, b, who, dom, d, ts, u, ok, note';
  for (const format of ['text', 'csv', 'binary']) {
    const script = `copy (select ${columns} from people) to stdout with (format ${format});`;
    const taken = await psql(server, relay.port, script);
    assert.equal(taken.code, 0, taken.stderr);
    await server.sql('truncate again');
    const directory = mkdtempSync(path.join(tmpdir(), 'hoop-masked-'));
    writeFileSync(`${directory}/rows`, taken.stdout);
    const loaded = await psql(
      server,
      relay.port,
      `\\copy again (${columns}) from '${directory}/rows' with (format ${format})\n`,
    );
    rmSync(directory, { recursive: true });
    assert.equal(loaded.stderr, '', format);
    const counted = await server.sql(`select count(*), count(distinct d), bool_and(note ~ '^[*]+$'), bool_and(v ~ '^to [*]+, now$') from again`); // prettier-ignore
    assert.equal(counted, `${rows}|1|t|t`, format);
  }
});

test(
  'pipelined extended queries, described and not; the outcome and the order are the client’s',
  options,
  async () => {
    const relay = await relayWith(...rules('redact'));
    const sql = postgres({ host: '127.0.0.1', port: relay.port, user: 'ana', database: 'app', max: 1 });
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => sql`select id, mail, note from people where id = ${i + 1}`),
      );
      for (const [i, [row]] of answers.entries()) {
        assert.equal(row!['id'], i + 1);
        assert.match(`${row!['mail']}${row!['note']}`, /^\*+$/);
      }
    }
    await sql.end();
  },
);

test('a COPY whose columns cannot be told is refused, and the connection goes on', options, async () => {
  const relay = await relayWith(...rules('redact'));
  const script = `begin; create table fresh as select note as plain from people limit 1; copy fresh to stdout; rollback; select 'alive';`;
  const taken = await psql(server, relay.port, script);
  assert.match(taken.stderr, /it cannot be told which columns/);
  assert.match(taken.stdout.toString(), /alive/);
  assert.equal(taken.leak, null);
});

test(
  'a rule that appears with a new name holds from then on: names are asked for again',
  options,
  async () => {
    await server.sql(
      `create table renamed (a text); insert into renamed values ('ordinary secret'); alter table renamed owner to app`,
    );
    const relay = await relayWith({ columns: ['*.renamed.hidden'] });
    const script = `alter table renamed rename a to hidden; select * from renamed; select hidden as x from renamed;`;
    const taken = await psql(server, relay.port, script);
    assert.equal(taken.leak, null);
    assert.match(taken.stdout.toString(), /^ALTER TABLE\n\*+\n\*+\n$/);
  },
);

test('the catalog cannot be reached: rows of the command are not delivered', options, async () => {
  let dialled = 0;
  const dial = dialTo(server.port);
  const relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    masking: maskingOf(...rules('redact')),
    dial: () => (dialled++ === 0 ? dial() : Promise.reject(new Error('no way'))),
  });
  relays.push(relay);
  const taken = await psql(server, relay.port, 'select id, note from people;');
  assert.match(taken.stderr, /does not tell where columns come from/);
  assert.equal(taken.bytes, 0);
});

test(`a value of 100 MB passes, masked, in bounded memory`, options, async () => {
  const relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    masking: maskingOf(...rules('redact')),
    keep: false,
  });
  relays.push(relay);
  const before = process.memoryUsage().rss;
  const script = `select repeat('abc def ', 6250000) || 'u@example.com ' || repeat('x ${card} ', 2700000);`;
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 50);
  const taken = await psql(server, relay.port, script, { discard: true });
  clearInterval(timer);
  assert.equal(taken.code, 0, taken.stderr);
  assert.ok(taken.bytes > 100_000_000);
  assert.equal(taken.leak, null);
  assert.ok(peak - before < 150e6, `memory grew by ${Math.round((peak - before) / 1e6)} MB`);
});

test('the table of types is that of the server', options, async () => {
  const listed = await server.sql(`select oid, typtype, typcategory, typelem, typname from pg_type
    where oid < 16384 and typtype in ('b', 'r', 'm') and typnamespace = 'pg_catalog'::regnamespace
      and typrelid = 0 and (typcategory <> 'A' or typelem::regtype::text not like 'pg\\_%')`);
  const missing: string[] = [];
  for (const line of listed.split('\n')) {
    const [oid, , category, element, name] = line.split('|');
    const known = knownTypes.get(Number(oid));
    // What is not listed is treated as text or by its shape; these have no binary format of their own to know.
    if (known === undefined) missing.push(name!);
    else if (category === 'A' && known.layout === Layout.array)
      assert.equal(known.element, Number(element), name);
  }
  const ranges = await server.sql('select rngtypid, rngsubtype, rngmultitypid from pg_range');
  for (const line of ranges.split('\n')) {
    const [range, element, multirange] = line.split('|').map(Number);
    assert.equal(knownTypes.get(range!)!.element, element);
    assert.equal(knownTypes.get(multirange!)!.element, range);
  }
  assert.deepEqual(
    missing.filter((name) => !name.startsWith('_') && !name.startsWith('pg_')),
    [],
  );
});
