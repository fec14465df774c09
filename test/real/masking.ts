/** A table with sensitive values in columns of every type, and clients that read it on every path. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { PostgresServer } from '../support/postgres.ts';

/** What may not arrive: as text, as hexadecimal, and as binary numbers. */
export const card = '4111111111111111';
export const ssn = '536-90-4399';
const cardBytes = Buffer.alloc(8);
cardBytes.writeBigInt64BE(BigInt(card));
const numericCard = Buffer.from([0x10, 0x0f, 0x04, 0x57, 0x04, 0x57, 0x04, 0x57]); // groups 4111 1111 1111 1111
const needles = [
  '@example.com',
  card,
  ssn,
  '4111 1111 1111 1111',
  '4.111111111111111e+15',
  'ordinary secret',
];
export const forbidden: readonly Buffer[] = [
  ...needles.map((text) => Buffer.from(text)),
  ...needles.map((text) => Buffer.from(Buffer.from(text).toString('hex'))),
  cardBytes,
  numericCard,
];

/** The first of what may not arrive that is in `bytes`; null when nothing is. */
export const leaked = (bytes: Buffer): string | null =>
  forbidden.find((needle) => bytes.includes(needle))?.toString('latin1') ?? null;

export const schema = (rows: number): string => `
  create type contact as (id int, mail text, card int8);
  create type mail as enum ('a@example.com', 'none');
  create domain address as text;
  create table people (
    id int primary key, mail text, v varchar(60), c char(60), n name, small int4, big int8, num numeric, f float8, cash money,
    j json, jb jsonb, x xml, t text[], i int8[], r int8range, b bytea, who contact, e mail, dom address, ip inet,
    d date, ts timestamptz, u uuid, ok bool, note text, js text);
  insert into people select g, 'u' || g || '@example.com', 'to u' || g || '@example.com, now', 'c@example.com', 'n@example.com',
    g, ${card}, ${card}.50, ${card}, ${card}::int8::money,
    json_build_object('mail', 'j@example.com', 'card', ${card}, 'line', E'one\\nu@example.com', 'n', 12.5),
    jsonb_build_object('mail', 'j@example.com', 'card', ${card}::int8, 'deep', jsonb_build_array('${ssn}', true, null)),
    xmlparse(content '<a href="mailto:x@example.com">4111 1111 1111 1111 &amp; more</a>'),
    array['t@example.com', 'plain, "quoted" \\ text', '${ssn}'], array[${card}, 7], int8range(${card}, null),
    'b@example.com'::bytea, row(1, 'w@example.com', ${card})::contact, 'a@example.com', 'd@example.com', '10.1.2.3',
    '2024-05-17', '2024-05-17 10:11:12+00', '8f14e45f-ceea-467f-a9c6-3f2d8a1b0c5d', true, 'ordinary secret ' || g, 'ssn ${ssn}'
    from generate_series(1, ${rows}) g;
  create unique index on people (mail); create unique index on people (note);
  create view directory as select id, note as remark from people;
  grant all on people, directory to app; analyze people;`;

export interface Taken {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly bytes: number;
  /** See `leaked`. */
  readonly leak: string | null;
}

/** Runs psql against a port; with `discard`, its output is searched and not kept. */
export async function psql(
  server: PostgresServer,
  port: number,
  script: string,
  options: { readonly discard?: boolean; readonly flags?: readonly string[] } = {},
): Promise<Taken> {
  const env = { ...server.env(), PGPORT: String(port), PGUSER: 'ana', PGPASSWORD: '' };
  const child = spawn(`${server.binDir}/psql`, ['-XAt', ...(options.flags ?? [])], { env });
  const chunks: Buffer[] = [];
  let [bytes, stderr] = [0, ''];
  let leak: string | null = null;
  let tail: Buffer = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    // Across the cut first, then the chunk itself: no copy of everything.
    leak ??= leaked(Buffer.concat([tail, chunk.subarray(0, 64)])) ?? leaked(chunk);
    tail = Buffer.from(chunk.subarray(-64));
    if (options.discard !== true) chunks.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(script);
  await once(child, 'close');
  return {
    code: child.exitCode,
    stdout: Buffer.concat(chunks),
    stderr,
    bytes,
    leak: leak ?? leaked(Buffer.from(stderr)),
  };
}

/** Every path on which a result reaches a client, as scripts of psql. */
export const paths: Readonly<Record<string, string>> = {
  select: 'select * from people;',
  'aliases, joins, expressions': `select p.note as a, q.mail as b, p.who, p.t[1], p.j ->> 'mail' from people p join people q using (id);`,
  'whole rows': 'select p from people p;',
  'a view': 'select remark as other from directory;',
  'json_agg of values':
    'select json_agg(jb), json_agg(mail), array_agg(big), string_agg(v, chr(10)) from people;',
  'row_to_json without the column of the rule':
    'select row_to_json(p) from (select id, mail, b, big, num, j, t, who, d, ts from people) p;',
  'a cursor':
    'begin; declare c cursor for select * from people; fetch 1000 from c; fetch all from c; commit;',
  prepared: 'prepare p(int) as select * from people where id > $1; execute p(1);',
  returning: 'begin; update people set ok = not ok returning *; rollback;',
  'copy text': 'copy people to stdout;',
  'copy csv': 'copy people to stdout with (format csv, header);',
  'copy csv, quoted': `copy people (note, mail, jb, t) to stdout with (format csv, force_quote *, delimiter ';');`,
  'copy of a query': 'copy (select note as n, t, jb, b from people) to stdout;',
  'copy binary': 'copy people to stdout with (format binary);',
  notices: `do $$ declare p record; begin for p in select * from people limit 100 loop
      raise notice 'mail %, card %', p.mail, p.big; raise warning using message = p.mail, detail = p.js, hint = p.v; end loop; end $$;`,
  'an error': `do $$ begin raise exception 'for %', (select mail from people limit 1) using detail = '${card}', hint = '${ssn}'; end $$;`,
  'unique violation': `insert into people (id, mail) values (-1, 'u1@example.com');
      insert into people (id, note) values (-1, 'ordinary secret 1');`,
  'a cast that fails': 'select mail::int from people limit 1;',
  'column names': `\\pset tuples_only off\nselect 1 as "u@example.com", 2 as "${card}";`,
  notifications: `listen chan; select pg_notify('chan', mail) from people limit 3;`,
  parameters: `set application_name = 'u@example.com'; select 1;`,
  explain: `explain select * from people where mail = 'u@example.com';`,
};
