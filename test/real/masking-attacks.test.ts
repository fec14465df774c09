/** Ways around masking that somebody who may write any SQL could try, on a real PostgreSQL: none shows what a rule hides. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Catalogs } from '../../src/protocols/postgres/masking/catalog.ts';
import { openClassifier } from '../../src/protocols/postgres/sql/classifier.ts';
import { dialTo, listenRelay, targetOptions } from '../protocols/postgres/support.ts';
import type { RelayServer } from '../protocols/postgres/support.ts';
import { maskingOf } from '../protocols/postgres/masking/support.ts';
import type { Rule } from '../protocols/postgres/masking/support.ts';
import { passwordOf, postgresMissing, startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { psql } from './masking.ts';

const options = { skip: postgresMissing };
let server: PostgresServer;
let classify: NonNullable<Parameters<typeof listenRelay>[2]>['classify'];
const relays: RelayServer[] = [];

before(async () => {
  if (postgresMissing !== false) return;
  server = await startPostgres({});
  await server.sql(`create table staff (id int primary key, code text unique);
    insert into staff values (1, 'hidden-1'), (2, 'hidden-2');
    grant all on staff to app; grant create on schema public to app`);
  const classifier = await openClassifier();
  classify = (text) => classifier.classify(text);
});
after(async () => {
  for (const relay of relays) await relay.stop();
  await server?.stop();
});

/** One session: its connections share what is known of the target's columns. */
async function relayWith(...rules: Rule[]): Promise<RelayServer> {
  const target = targetOptions({ password: () => passwordOf('app') });
  const relay = await listenRelay(target, server.port, {
    masking: maskingOf(...rules),
    catalogs: new Catalogs({ dial: dialTo(server.port), target, nowMs: () => 0 }),
    classify: classify!,
  });
  relays.push(relay);
  return relay;
}

/** What psql prints of a script, as the person sees it. */
async function printed(relay: RelayServer, script: string): Promise<string> {
  const { stdout, stderr } = await psql(server, relay.port, script);
  return stdout.toString('latin1') + stderr;
}

const ofStaff: Rule = { columns: ['public.staff.code'] };

test('rows in errors that name another table, or none', options, async () => {
  await server.sql(`create table badges (code text references staff (code)); insert into badges values ('hidden-1');
    create view few as select * from staff where id < 10 with check option; grant all on few, badges to app`);
  const relay = await relayWith(ofStaff);
  const referenced = await printed(relay, 'delete from staff where id = 1;');
  assert.match(referenced, /Key \(code\)=\(\*{8}\) is still referenced/);
  const unnamed = await printed(relay, 'update few set id = 100 where id = 1;');
  assert.match(unnamed, /Failing row contains \(\*+\)/);
  const own = await printed(relay, `begin; create table fresh (code text unique); insert into fresh values ('hidden-3');
    insert into fresh select 'hidden-3'; rollback;`); // prettier-ignore
  assert.match(own, /Key \(code\)=\(\*{8}\) already exists/);
});

test(
  'bytea_output = escape: all of a value is hidden, not its hexadecimal digits alone',
  options,
  async () => {
    const zyx = 'zyxwvutsrq';
    await server.sql(`create table blobs (b bytea, big bytea); grant all on blobs to app;
    insert into blobs values ('abx\\000${zyx}"${zyx}', convert_to(repeat('${zyx}', 150000), 'UTF8'))`);
    const relay = await relayWith({ columns: ['public.blobs.b', 'public.blobs.big'] });
    for (const ask of [
      'select b',
      'copy blobs (b) to stdout',
      'copy blobs (b) to stdout (format csv)',
      'select *',
    ]) {
      const text = ask.startsWith('select') ? `${ask} from blobs;` : `${ask};`;
      const answer = await printed(relay, `set bytea_output = escape; ${text}`);
      assert.doesNotMatch(answer, /[yw]/, ask);
      assert.match(answer, /\*{16}/, ask);
    }
  },
);

test('a view that cannot be looked into is not delivered, the second time either', options, async () => {
  await server.sql(`create schema closed; create table closed.s (code text); insert into closed.s values ('hidden-4');
    create view seen as select code as x from closed.s; grant all on seen to app`);
  const relay = await relayWith({ columns: ['closed.s.code'] });
  for (const time of ['first', 'second']) {
    const answer = await printed(relay, 'select * from seen;');
    assert.match(answer, /does not tell where columns come from/, time);
    assert.doesNotMatch(answer, /hidden/, time);
  }
});

test('a view on very many views', options, async () => {
  const views = Array.from({ length: 20 }, (_, i) =>
    `create view deep_${i + 1} as select * from ${i === 0 ? 'staff' : `deep_${i}`}; grant all on deep_${i + 1} to app;`); // prettier-ignore
  await server.sql(views.join('\n'));
  const relay = await relayWith(ofStaff);
  assert.doesNotMatch(await printed(relay, 'select * from deep_20;'), /hidden/);
  assert.match(await printed(relay, 'select * from deep_10;'), /^1\|\*{8}$/m);
});

test('a column that another session has just added', options, async () => {
  await server.sql(
    `create table growing (id int); insert into growing values (1); grant all on growing to app`,
  );
  const relay = await relayWith({ columns: ['public.growing.code'] });
  const add = `alter table growing add code text default 'hidden-5'`;
  assert.equal(await printed(relay, 'select * from growing;'), '1\n');
  await server.sql(add);
  assert.equal(await printed(relay, 'select * from growing;'), '1|********\n');
  await server.sql('alter table growing drop code');
  await server.sql(add);
  assert.equal(await printed(relay, 'copy public.growing to stdout;'), '1\t********\n');
});

test('a search path of the role with operators of its own', options, async () => {
  await server.sql(`create schema evil; grant usage on schema evil to app;
    create function evil.never(oid, oid) returns boolean language sql as 'select false';
    create operator evil.= (function = evil.never, leftarg = oid, rightarg = oid);
    alter role app set search_path = evil, pg_catalog, public`);
  const relay = await relayWith(ofStaff);
  assert.match(await printed(relay, 'select code from staff;'), /^\*{8}\n\*{8}\n$/);
  assert.match(await printed(relay, 'copy (select code from staff) to stdout;'), /^\*{8}\n\*{8}\n$/);
  await server.sql('alter role app reset search_path');
});

test('a COPY that is written so that it could be read otherwise', options, async () => {
  await server.sql(`create table open_to_all (code text); insert into open_to_all values ('open');
    grant all on open_to_all to app`);
  const relay = await relayWith(ofStaff);
  const script = `copy --\rpublic.staff (code) to stdout /*\npublic.open_to_all (code) to stdout --*/;`;
  assert.doesNotMatch(await printed(relay, script), /hidden/);
});

test('quotes of CSV that stand in values', options, async () => {
  const relay = await relayWith({ detect: ['us-ssn', 'email'] });
  for (const marks of [`quote '-'`, `escape '-', force_quote *`, `quote '@'`, `escape '@', force_quote *`]) {
    const script = `copy (select '123-45-6789', 'ana@example.com', 'a-b@c' as x) to stdout (format csv, ${marks});`;
    const answer = (await printed(relay, script)).replaceAll(/([-@])\1/g, '$1');
    assert.doesNotMatch(answer, /6789|example/, marks);
    assert.match(answer, /\*\W{1,3}a-b@c/, marks);
  }
});

test('domains are what they are made of, in COPY and in containers', options, async () => {
  const card = '4111111111111111';
  await server.sql(`create domain whole as bigint; create domain wider as whole; create domain exact as numeric;
    create domain inexact as float8; create table kinds (w wider, e exact, f inexact, ws wider[], es exact[]);
    insert into kinds values (${card}, ${card}, ${card}, array[${card}]::wider[], array[${card}.50]::exact[]);
    grant all on kinds to app`);
  const relay = await relayWith({ detect: ['card'] });
  assert.equal(
    await printed(relay, 'copy kinds to stdout;'),
    `${10n ** 15n}\t${10n ** 15n}\t0.000000000000000e+00\t{${10n ** 15n}}\t{${10n ** 15n}.50}\n`.replace(
      '\\N',
      '0.000000000000000e+00',
    ),
  );
  const binary = Buffer.from(await printed(relay, 'copy kinds to stdout (format binary);'), 'latin1');
  assert.ok(!binary.includes(Buffer.from(BigInt(card).toString(16).padStart(16, '0'), 'hex')), 'int8');
  assert.ok(!binary.includes(Buffer.from('0457', 'hex')), 'numeric'); // the group 1111
});

test('COPY of a temporary table in front of another of its name', options, async () => {
  await server.sql('create table twins (code text, id text); grant all on twins to app');
  const relay = await relayWith({ columns: ['*.twins.code'] });
  const answer = await printed(
    relay,
    'create temp table twins as select id::text, code from staff; copy twins to stdout; copy public.twins to stdout;',
  );
  assert.match(answer, /cannot be told which columns/);
  assert.doesNotMatch(answer, /twins.*hidden/s);
});

test('what stands for an address is one', options, async () => {
  await server.sql(`create table hosts (i inet); grant all on hosts to app;
    insert into hosts values ('10.1.2.33'), ('192.168.100.250/24'), ('2001:db8::f00d/64'), ('::1')`);
  for (const mode of ['redact', 'partial', 'hash', 'fixed'] as const) {
    const relay = await relayWith({ columns: ['public.hosts.i'], mode });
    const lines = (await printed(relay, 'select * from hosts;')).trim().split('\n');
    assert.equal(lines.length, 4, mode);
    await server.sql(`select ${lines.map((line) => `'${line}'::inet`).join(',')}`);
    for (const line of lines) assert.doesNotMatch(line, /(^|[.])0\d+[./]/, mode); // which many readers refuse
  }
});

test('a fixed value with the delimiter of a COPY in it does not add a column', options, async () => {
  const relay = await relayWith({ ...ofStaff, mode: 'fixed', value: 'not_told' });
  const answer = await printed(relay, `copy public.staff (id, code) to stdout (delimiter '_');`);
  assert.equal(answer, '1_not*told\n2_not*told\n');
});

test('encodings in which half a letter is one of ASCII', options, async () => {
  const relay = await relayWith(ofStaff, { detect: ['card'] });
  const copy = `copy (select chr(34920), code, chr(12509) from staff) to stdout`;
  for (const script of [
    `select set_config('client_encoding', 'SJIS', false); select chr(12450) || '4111111111111111';`,
    `set client_encoding to 'Shift_JIS'; ${copy} (delimiter '|');`,
    `${copy} (delimiter '|', encoding 'sjis');`,
    `${copy} with delimiter '|' encoding 'BIG5';`,
  ]) {
    const answer = await printed(relay, script);
    assert.doesNotMatch(answer, /hidden|4111/, script);
    assert.match(answer, /cannot be masked|not understood/, script);
  }
});
