/**
 * Clients that try to run one thing and have another recorded, against a real server: what ran is recorded under its
 * own text, and a command that took effect is never told as cancelled.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { openClassifier } from '../../../src/protocols/postgres/sql/classifier.ts';
import { passwordOf, postgresMissing, startPostgres } from '../../support/postgres.ts';
import type { PostgresServer } from '../../support/postgres.ts';
import { int16, int32, message, packet } from './scripted.ts';
import { listenRelay, targetOptions } from './support.ts';
import type { RelayServer } from './support.ts';

const options = { skip: postgresMissing };
let server: PostgresServer;
let relay: RelayServer;

before(async () => {
  if (postgresMissing !== false) return;
  server = await startPostgres();
  await server.sql(`
    create table t (a int);
    create view v as select 1 as a;
    create table refusing (a int);
    create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'no' using errcode = '08P01'; end $$;
    create trigger refuse before insert on refusing for each statement execute function refuse();
    create procedure nothing() language sql as $$ select 1 $$;
    create table important (a int);
    create function swap() returns text language plpgsql as $$ begin
      execute 'deallocate s'; execute 'prepare s as delete from important'; return 'done'; end $$;
    create function swap_portal() returns text language plpgsql as $$ declare c refcursor := 'p1'; begin
      close c; open c for select a from important; return 'done'; end $$;
    create function opaque() returns int language plpgsql as $$ begin return 1; end $$;
    create function reopen() returns void language plpgsql as $$ declare c refcursor := 'p'; begin
      close c; open c for select a from important; end $$;
    grant all on t, v, refusing, important to app;`);
  const classifier = await openClassifier();
  relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    classify: (text) => classifier.classify(text),
  });
});
after(async () => {
  await relay?.stop();
  await server?.stop();
});

const Q = (text: string): Buffer => message('Q', `${text}\0`);
const P = (name: string, text: string): Buffer => message('P', `${name}\0${text}\0`, int16(0));
const B = (statement: string, portal = ''): Buffer =>
  message('B', `${portal}\0${statement}\0`, int16(0, 0, 0));
const E = (portal = '', rows = 0): Buffer => message('E', `${portal}\0`, int32(rows));
const close = (kind: 'S' | 'P', name: string): Buffer => message('C', `${kind}${name}\0`);
const S = message('S');
const wipe = 'delete from important';

/** Sends each step when the one before is answered: ReadyForQuery, CopyInResponse, or the end. */
async function play(...steps: readonly (readonly Buffer[])[]): Promise<string[]> {
  await server.sql('truncate important; insert into important select generate_series(1, 5)');
  const socket = net.connect({ host: '127.0.0.1', port: relay.port });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  let received = Buffer.alloc(0);
  let answered: (() => void) | null = null;
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (lastIs(received, 'ZG')) answered?.();
  });
  socket.write(packet(int32(0x30000), 'user\0ana\0database\0app\0', '\0'));
  for (const step of [[], ...steps]) {
    if (step.length > 0) socket.write(Buffer.concat(step));
    await Promise.race([closed, new Promise<void>((resolve) => (answered = resolve))]);
    received = Buffer.alloc(0);
  }
  socket.destroy();
  await Promise.all([closed, relay.relays.at(-1)!.closed]);
  return relay.gates.at(-1)!.summary();
}

function lastIs(bytes: Buffer, types: string): boolean {
  let type = 0;
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) type = bytes[at]!;
  return types.includes(String.fromCharCode(type));
}

test('a command behind a COPY FROM that fails early runs, and is recorded so', options, async () => {
  assert.deepEqual(await play([Q('copy v from stdin'), Q(wipe), Q('select 1')]), [
    'copy v from stdin → failed null 0 42809',
    `${wipe} → succeeded DELETE 5 0 null`,
    'select 1 → succeeded SELECT 1 1 null',
  ]);
});

test('a command sent into a COPY FROM ends the connection, and never leaves', options, async () => {
  for (const into of [[Q(wipe)], [P('', wipe), B(''), E(), S]]) {
    const recorded = await play([Q('copy t from stdin')], [message('d', 'not a number\n'), ...into]);
    assert.equal(recorded[0], 'copy t from stdin → cancelled null 0 08P01');
    assert.equal(await server.sql('select count(*) from important'), '5');
  }
});

test(
  'where the answers do not tell whether a command behind a COPY ran, it is not said either',
  options,
  async () => {
    const unknown = `${wipe} → cancelled null 0 08006`;
    assert.ok((await play([Q('copy refusing from stdin'), Q(wipe)])).includes(unknown));
    const extended = [P('', 'copy v from stdin'), B(''), E(), S, P('', wipe), B(''), E(), S];
    assert.ok((await play(extended)).includes(unknown));
  },
);

test('a Sync that a failed COPY did not read answers no command behind it', options, async () => {
  const bad = message('d', 'not a number\n');
  const [end, quit] = [message('c'), message('X')];
  const behind = [Q('select 1'), P('', 'select 2, 3'), B(''), E(), S, Q('selec'), Q('select 4'), quit];
  const recorded = [
    'copy t from stdin → failed null 0 22P02',
    'select 1 → succeeded SELECT 1 1 null',
    'select 2, 3 → succeeded SELECT 1 1 null',
    'selec → failed null 0 42601',
    'select 4 → succeeded SELECT 1 1 null',
  ];
  const extended = [P('', 'copy t from stdin'), B(''), E(), message('H')];
  for (const unread of [[S], [S, S]]) {
    assert.deepEqual(await play([Q('copy t from stdin')], [bad, ...unread, end, ...behind]), recorded);
    assert.deepEqual(await play(extended, [bad, ...unread, end, S, ...behind]), recorded);
  }
  // All were read.
  const late = [message('d', '1\n'), S, bad, end, ...behind];
  assert.deepEqual(await play([Q('copy t from stdin')], late), recorded);
});

test(
  'behind a COPY of which a Sync was perhaps not read, no command is told as skipped',
  options,
  async () => {
    const [bad, end] = [message('d', 'not a number\n'), message('c')];
    const extended = [P('', 'copy t from stdin'), B(''), E(), message('H')];
    const recorded = await play(extended, [bad, S, end, P('', wipe), B(''), E(), S]);
    assert.ok(recorded.includes(`${wipe} → cancelled null 0 08006`));
  },
);

test('names that the server does not tell apart are one name', options, async () => {
  const [one, two] = [`${'x'.repeat(63)}1`, `${'x'.repeat(63)}2`];
  assert.deepEqual(
    await play([P(one, 'select 1'), S], [close('S', two), P(two, wipe), S], [B(one), E(), S]),
    [`${wipe} → succeeded DELETE 5 0 null`],
  );
  const inSql = await play(
    [P('x'.repeat(62), 'select 1'), S],
    [Q(`deallocate "${'x'.repeat(62)}é"`)],
    [Q(`prepare ${'x'.repeat(62)} as ${wipe}`)],
    [B('x'.repeat(62)), E(), S],
  );
  assert.equal(inSql.at(-1), `EXECUTE "${'x'.repeat(62)}" → succeeded DELETE 5 0 null`);
  const begun = [P('', 'begin'), B(''), E(), P('', 'select 1')];
  const portals = await play(begun.concat(B('', one), P('', wipe), close('P', two), B('', two), E(one), S));
  assert.equal(portals.at(-1), `${wipe} → succeeded DELETE 5 0 null`);
});

test('a name that an encoding could change is refused', options, async () => {
  assert.deepEqual(await play([Q('set client_encoding = latin1')], [P('é', wipe), B('é'), E(), S]), [
    'set client_encoding = latin1 → succeeded SET 0 null',
  ]);
});

test('the unnamed statement keeps its text behind what the server skips', options, async () => {
  for (const skipped of [Q('select 1'), P('', 'select 1')]) {
    const recorded = await play([P('', wipe), S], [B('nowhere'), skipped, S], [B(''), E(), S]);
    assert.equal(recorded.at(-1), `${wipe} → succeeded DELETE 5 0 null`);
  }
});

test('behind a command that might rename, in one segment, a name has its text', options, async () => {
  assert.deepEqual(await play([P('s', wipe), P('d', '/* */ select 1'), S], [B('d'), E(), B('s'), E(), S]), [
    '/* */ select 1 → succeeded SELECT 1 1 null',
    `${wipe} → succeeded DELETE 5 0 null`,
  ]);
  assert.deepEqual(await play([P('c', 'call nothing()'), B('c'), E(), B('c'), E(), S]), [
    'call nothing() → succeeded CALL 0 null',
    'call nothing() → succeeded CALL 0 null',
  ]);
});

test(
  'a portal that outlives a failed Bind of its name is not taken for the failed one',
  options,
  async () => {
    const rows = 'select generate_series(1, 5)';
    for (const portal of ['p', '']) {
      const recorded = await play(
        [
          P('b', 'begin'),
          B('b', 'q'),
          E('q'),
          P('s', 'savepoint s'),
          P('r', 'rollback to s'),
          P('a', rows),
          S,
        ],
        [B('a', portal), E(portal, 1), B('s', 'q'), E('q'), S],
        // Of the named portal this Bind fails because the name is taken, of the unnamed one for its parameter.
        [
          message(
            'B',
            `${portal}\0a\0`,
            int16(0, portal === '' ? 1 : 0),
            portal === '' ? int32(-1) : '',
            int16(0),
          ),
          S,
        ],
        [B('r', 'q'), E('q'), S],
        [E(portal, 1), S],
      );
      assert.match(recorded.at(-1)!, new RegExp(`^FETCH 1 FROM "${portal}"`));
    }
  },
);

test('portals that are replaced or closed have their outcome at once', options, async () => {
  const many = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? B('a') : close('P', '')));
  await play([P('b', 'begin'), B('b'), E(), P('a', 'select 1'), ...many, S]);
  const gate = relay.gates.at(-1)!;
  const order = gate.commands.flatMap(({ outcomes }) => outcomes.map(({ kind }) => kind));
  assert.deepEqual(
    order,
    Array.from({ length: 26 }, () => 'succeeded'),
  );
});

test(
  'a function may make another statement of a name: from then on the name is taken for code',
  options,
  async () => {
    const recorded = await play(
      [P('s', 'select 1'), P('u', 'select 2'), P('f', 'select swap()'), S],
      [B('s'), E(), S],
      [B('f'), E(), B('u'), E(), P('', 'select 3'), B(''), E(), P('t', 'select 4'), B('t'), E(), S],
      [B('s'), E(), S],
    );
    assert.equal(recorded.at(-1), 'select 1 → succeeded DELETE 5 0 null', 'the server runs the other one');
    const effects = relay.gates.at(-1)!.commands.map(({ text, facts }) => `${text}: ${facts.effects.join()}`);
    assert.deepEqual(effects, [
      'select 1: read',
      'select swap(): code,read',
      'select 2: code,read',
      'select 3: read',
      'select 4: read',
      'select 1: code,read',
    ]);
  },
);

test('a portal that changes names changes them when it runs, not when it is bound', options, async () => {
  const names = [P('d', 'deallocate s'), P('p', `prepare s as ${wipe}`), B('d', 'x'), B('p', 'y'), S];
  const later = [E('x'), E('y'), B('s'), E(), S];
  const statements = await play([Q('begin')], names, [P('s', 'select 1'), S], later);
  assert.equal(statements.at(-1), 'EXECUTE "s" → succeeded DELETE 5 0 null');
  const cursors = [P('d', 'declare p1 cursor for select 2, 3'), P('c', 'close p1'), P('h', 'select 1')];
  const bound = [B('d', 'y'), B('c', 'x'), B('h', 'p1')];
  const portals = await play([Q('begin')], [...cursors, ...bound, E('x'), E('y'), E('p1'), S]);
  assert.equal(portals.at(-1), 'FETCH ALL FROM "p1" → succeeded SELECT 1 1 null');
});

test('a function that is bound early is code when it runs', options, async () => {
  const early = [P('f', 'select swap()'), B('f', 'x'), S];
  await play([Q('begin')], early, [P('s', 'select 1'), S], [E('x'), S], [B('s'), E(), S]);
  const last = relay.gates.at(-1)!.commands.at(-1)!;
  assert.equal(last.outcomes[0]!.tag, 'DELETE 5');
  assert.ok(last.facts.effects.includes('code'));
});

test('a function that replaces a portal: from then on the portal is not known', options, async () => {
  const bound = [P('h', 'select 1'), B('h', 'p1'), P('f', 'select swap_portal()')];
  const recorded = await play([Q('begin')], [...bound, B('f'), E(), E('p1'), S]);
  assert.equal(recorded.at(-1), 'FETCH ALL FROM "p1" → succeeded SELECT 5 5 null');
});

test('a cursor over a function: what fetches from it runs the function', options, async () => {
  const declared = [Q('begin'), Q('declare c cursor for select swap()')];
  const [prepared, named] = [
    [P('s', 'select 1'), S],
    [B('s'), E(), S],
  ];
  const fetches = [[Q('fetch c')], [E('c'), S], [P('', 'fetch c'), B(''), E(), S]];
  for (const fetch of fetches) {
    await play(declared, prepared, fetch, named);
    const last = relay.gates.at(-1)!.commands.at(-1)!;
    assert.equal(last.outcomes[0]!.tag, 'DELETE 5');
    assert.ok(last.facts.effects.includes('code'));
  }
});

test('a portal of code that is fetched in parts is one command', options, async () => {
  const parts = [P('', 'select opaque() from generate_series(1, 3)'), B('', 'x'), E('x', 2), E('x', 2), S];
  assert.deepEqual((await play([Q('begin')], parts)).slice(1), [
    'select opaque() from generate_series(1, 3) → succeeded SELECT 1 3 null',
  ]);
});
const begin = [P('b', 'begin'), B('b'), E()];

test('what is executed later than it was bound changes names when it is executed', options, async () => {
  const recorded = await play(
    [P('s', 'select 1'), P('d', 'deallocate s'), P('p', `prepare s as ${wipe}`), ...begin, B('d', 'x'), S],
    [B('p', 'y'), S],
    [E('x'), E('y'), B('s'), E(), S],
  );
  assert.equal(recorded.at(-1), 'EXECUTE "s" → succeeded DELETE 5 0 null');
});

test('a function that is executed later than it was bound makes names suspect then', options, async () => {
  const recorded = await play(
    [P('f', 'select swap()'), ...begin, B('f', 'x'), S],
    [P('s', 'select 1'), S],
    [E('x'), B('s'), E(), S],
  );
  assert.equal(recorded.at(-1), 'select 1 → succeeded DELETE 5 0 null');
  assert.deepEqual(relay.gates.at(-1)!.commands.at(-1)!.facts.effects, ['code', 'read']);
});

test('a cursor that such SQL has opened runs it when rows are fetched', options, async () => {
  for (const fetch of [[Q('fetch 1 from c')], [E('c', 1), S], [P('', 'fetch 1 from c'), B(''), E(), S]]) {
    await play([...begin, S], [Q('declare c cursor for select swap()')], [P('s', 'select 1'), S], fetch, [
      B('s'),
      E(),
      S,
    ]);
    const { text, facts } = relay.gates.at(-1)!.commands.at(-1)!;
    assert.deepEqual([text, ...facts.effects], ['select 1', 'code', 'read']);
  }
});

test(
  'a portal that was closed and declared anew by SQL bound before it is not taken for it',
  options,
  async () => {
    const declared = 'declare p cursor for select a from important';
    const recorded = await play(
      [P('c', 'close p'), P('d', declared), P('s', 'select generate_series(6, 9)'), ...begin, B('c', 'x'), S],
      [B('d', 'y'), S],
      [B('s', 'p'), S],
      [E('x'), E('y'), E('p', 1), S],
    );
    assert.match(recorded.at(-1)!, /^FETCH 1 FROM "p"/);
  },
);

test('a portal that a function may have replaced is not taken for the one before', options, async () => {
  const recorded = await play(
    [P('f', 'select reopen()'), P('s', 'select generate_series(6, 9)'), ...begin, B('f', 'x'), S],
    [B('s', 'p'), S],
    [E('x'), E('p', 1), S],
  );
  assert.match(recorded.at(-1)!, /^FETCH 1 FROM "p"/);
});
