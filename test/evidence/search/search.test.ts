/** Searching what the real recorder wrote: each kind, wherever records and segments cut it, and what is not there. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { readSessions } from '../../../src/evidence/read/sessions.ts';
import { searchSessions, type SearchItem, type SearchOptions } from '../../../src/evidence/search/search.ts';
import { searchKinds } from '../../../src/evidence/search/session-search.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';
import {
  anaLogin,
  anaSession,
  benLogin,
  benSession,
  bind,
  History,
  serverSession,
  twoSessions,
} from '../read/history.ts';

type Match = Extract<SearchItem, { kind: 'match' }>;
type Asked = Partial<SearchOptions> & { from?: string; to?: string };

async function search(history: History, text: string, asked: Asked = {}): Promise<SearchItem[]> {
  const { from, to, ...options } = asked;
  const sessions = await readSessions(history.directory, {});
  const items: SearchItem[] = [];
  for await (const item of searchSessions(
    sessions,
    { from, to },
    { ...defaults, directory: history.directory, text, ...options },
  ))
    if (item.kind !== 'progress') items.push(item);
  return items;
}
const defaults = {
  regex: false,
  ignoreCase: false,
  kinds: searchKinds,
  context: 0,
  limit: 1000,
  threads: 2,
  priority: 'normal' as const,
  signal: new AbortController().signal,
};

const matches = (items: readonly SearchItem[]): Match[] => items.filter((item) => item.kind === 'match');
const places = (items: readonly SearchItem[]): string[] =>
  matches(items).map(
    ({ connection, command, where, line }) => `${connection}:${command} ${where} ${line.join('|')}`,
  );
const find = async (history: History, text: string, asked: Asked = {}): Promise<string[]> =>
  places(await search(history, text, asked));

test('texts of commands and their parameters, in the encoding of their connection', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  assert.deepEqual(await find(history, 'café'), ['1:1 command select pg_sleep(1) -- |café|']);
  // Of a prepared statement, and a parameter that was sent in binary form.
  assert.deepEqual(await find(history, 'SELECT', { ignoreCase: true }), [
    '1:1 command |select| pg_sleep(1) -- café',
    '1:1 command |select| $1::int, $2',
  ]);
  assert.deepEqual(await find(history, '42|^', { text: '\\b42\\b', regex: true }), ['1:1 parameters |42|']);
  assert.deepEqual(await find(history, '42', { kinds: ['command', 'output'] }), []);
  const [match] = matches(await search(history, 'drop'));
  assert.equal(match?.session, anaSession);
  assert.equal(match.time, '2026-11-21T12:00:00.040Z');
  assert.equal(match.principal.email, 'ana@example.com');
});

test('what programs and terminals showed: characters cut by records, lines around, channels apart', async () => {
  await using history = await new History().open();
  const { end } = await serverSession(history);
  // A session that goes on is searched as far as it is recorded.
  assert.deepEqual(await find(history, 'one'), ['2:3 output |one|']);
  await end();
  assert.deepEqual(await find(history, 'echo é'), ['1:1 output ls; |echo é|']);
  const [two] = matches(await search(history, 'two', { context: 1 }));
  assert.deepEqual([two?.before, two?.line, two?.after], [['one'], ['', 'two', ''], []]);
  assert.deepEqual(await find(history, '/etc/shadow'), ['1:2 command cat |/etc/shadow|']);
  assert.deepEqual(await find(history, 'TZ=UTC'), ['1:1 parameters |TZ=UTC|']);
  assert.deepEqual(await find(history, 'warning', { kinds: ['error-output'] }), [
    '2:3 error-output |warning|: é',
  ]);
});

test('what a terminal was told to do stands between nobody and the text', async () => {
  await using history = await new History().open();
  await history.login(anaLogin, 'ana');
  const recorder = await history.session(anaSession, anaLogin, 'ana', null, { target: 's', protocol: 'ssh' });
  recorder.connectionOpened(1, { parameters: { channel: 'shell', term: 'xterm' }, serverVersion: null });
  recorder.command(1, 1, Buffer.from('shell'), null, 'allow', unknownFacts, null);
  const shown =
    '$ r\x1b[31mm -\x1b[0mrf\x1b]0;rm title\x07 /srv\r\n10%\r20%\rdone\r\nlsx\b \b -la\r\n\x1b[2J\x1b[1;1Hleft\x1b[5;9Hright\r\n';
  for (const byte of Buffer.from(shown)) {
    recorder.output(1, 1, Buffer.from([byte]));
    recorder.flush();
  }
  await history.close(anaSession, recorder);
  const lines = await find(history, '.', { text: '.+', regex: true, kinds: ['output'] });
  assert.deepEqual(
    lines.map((line) => line.replace('1:1 output |', '').replace(/\|$/, '')),
    ['$ rm -rf /srv', '10%', '20%', 'done', 'ls -la', 'left', 'right'],
  );
});

test('a text is found wherever records and segments cut it, once, with the record in which it begins', async () => {
  const needle = 'needle in a haystack';
  const lines = [...Array(40).keys()].map((n) => (n % 9 === 4 ? `${n} ${needle} ${n}` : `${n} hay, hay`));
  const whole = Buffer.from(`${lines.join('\n')}\n`);
  const expected = lines.filter((line) => line.includes(needle));
  const cuts = fc.array(fc.record({ at: fc.nat(whole.length), seals: fc.boolean() }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(cuts, fc.nat(2), async (chosen, context) => {
      await using history = await new History().open();
      await history.login(anaLogin, 'ana');
      const where = { target: 's', protocol: 'ssh' };
      const recorder = await history.session(anaSession, anaLogin, 'ana', null, where);
      recorder.connectionOpened(1, { parameters: { channel: 'exec' }, serverVersion: null });
      recorder.command(1, 1, Buffer.from('cat'), null, 'allow', unknownFacts, null);
      let from = 0;
      for (const { at, seals } of chosen.toSorted((a, b) => a.at - b.at)) {
        if (at === from) continue;
        recorder.output(1, 1, whole.subarray(from, at));
        from = at;
        // A segment closes at a second of age.
        if (seals) history.now += 1500;
        recorder.flush();
      }
      recorder.output(1, 1, whole.subarray(from));
      await history.close(anaSession, recorder);
      const items = await search(history, needle, { context });
      const found = matches(items);
      assert.deepEqual(
        found.map(({ line }) => line.join('')),
        expected,
      );
      for (const { line, before, after } of found) {
        const index = lines.indexOf(line.join(''));
        assert.deepEqual(before, lines.slice(Math.max(0, index - context), index));
        assert.deepEqual(after, lines.slice(index + 1, index + 1 + context));
      }
      assert.deepEqual(items.at(-1)?.kind, 'end');
    }),
    { numRuns: 12 },
  );
});

test('rows, errors and what was loaded; contents that stand apart; lines far too long', async () => {
  await using history = await new History().open();
  await history.login(benLogin, 'ben');
  const recorder = await history.session(benSession, benLogin, 'ben', null);
  recorder.connectionOpened(1, { parameters: { user: 'ben' }, serverVersion: '15.18' });
  recorder.command(
    1,
    1,
    Buffer.from(`select 1 -- ${'x'.repeat(100_000)} far away`),
    null,
    'allow',
    unknownFacts,
    null,
  );
  const value = Buffer.from(`Ana${'y'.repeat(600_000)}Zoe`);
  const header = Buffer.from([0x44, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
  header.writeInt32BE(value.length + 10, 1);
  header.writeInt32BE(value.length, 7);
  const output = Buffer.concat([header, value, Buffer.from('C\0\0\0\rSELECT 1\0')]);
  for (let at = 0; at < output.length; at += 50_000) {
    recorder.output(1, 1, output.subarray(at, at + 50_000));
    recorder.flush();
  }
  recorder.input(1, 1, Buffer.from('d\0\0\0\x09hello'));
  recorder.input(1, 1, Buffer.from('d\0\0\0\x0bworld\n\0'.slice(0, -1) + '\n'));
  recorder.command(
    1,
    2,
    Buffer.from('select $1'),
    bind([[Buffer.from('secret').toString('hex'), 0]]),
    'allow',
    null,
    null,
  );
  await history.close(benSession, recorder);
  const [far] = await find(history, 'far away');
  assert.match(far!, /^1:1 command …x+ \|far away\|/);
  for (const word of ['Ana', 'Zoe', 'yZoe', 'SELECT 1', 'secret', 'helloworld'])
    assert.equal((await find(history, word)).length, 1, word);
  assert.equal((await find(history, 'y')).length > 0, true);
  assert.deepEqual(await find(history, '\u0004'), []);
});

test('limit, range of time, and what cannot be read is told', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  const limited = await search(history, 'select', { limit: 1 });
  assert.equal(matches(limited).length, 1);
  const end = limited.at(-1);
  assert.ok(end?.kind === 'end' && !end.complete && end.matches === 1);
  const later = await search(history, 's', {
    from: '2026-11-21T12:00:00.035Z',
    to: '2026-11-21T12:00:00.045Z',
  });
  assert.deepEqual(places(later), []);
  const range = await search(history, 'x', {
    from: '2026-11-21T12:00:00.035Z',
    to: '2026-11-21T12:00:00.045Z',
  });
  assert.deepEqual(places(range), ['2:2 command drop table |x|']);

  const day = path.join(history.directory, 'recordings/2026/11/21');
  rmSync(path.join(day, anaSession, '0.cbor.zst'));
  const file = path.join(day, benSession, '0.cbor.zst');
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 0xff;
  writeFileSync(file, bytes);
  const told = (await search(history, 'select')).filter(({ kind }) => kind !== 'match' && kind !== 'end');
  assert.deepEqual(told, [
    { kind: 'missing', session: anaSession, segments: 1 },
    { kind: 'unreadable', session: benSession, code: 'recording-damaged' },
  ]);
});

test('a search that nobody waits for any more ends, and a pattern that is none never begins', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  const aborted = new AbortController();
  const items = searchSessions(
    await readSessions(history.directory, {}),
    {},
    {
      ...defaults,
      directory: history.directory,
      text: 'select',
      signal: aborted.signal,
    },
  );
  await items.next();
  aborted.abort(new Error('gone'));
  await assert.rejects(async () => {
    for (;;) if ((await items.next()).done === true) return;
  }, /gone/);
  await assert.rejects(search(history, '(', { regex: true }), { code: 'search-pattern-invalid' });
});
