/** Durations, times and tables as people type and read them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { formatTable } from '../../src/cli/table.ts';
import type { ServedView } from '../../src/agent/control-protocol.ts';
import { bannerOf } from '../../src/cli/served.ts';
import { parseDuration, timeOfDay } from '../../src/cli/time.ts';

test('durations', () => {
  const seconds = {
    '1s': 1,
    '90s': 90,
    '30m': 1800,
    '8h': 28_800,
    '1h30m': 5400,
    '7d': 604_800,
    '1d1h': 90_000,
  };
  for (const [text, expected] of Object.entries(seconds)) assert.equal(parseDuration(text), expected, text);
  for (const text of [
    '',
    '0s',
    '5',
    '-1h',
    '1.5h',
    '1H',
    'h',
    '8 h',
    '8d',
    '604801s',
    '1h-',
    '9'.repeat(400) + 's',
  ])
    assert.throws(() => parseDuration(text), { code: 'duration-invalid' }, text);
});

test('a time is short today and has its date otherwise', () => {
  const now = new Date(2026, 10, 22, 17, 5);
  assert.equal(timeOfDay(new Date(2026, 10, 22, 8, 4), now), '08:04');
  assert.equal(timeOfDay(new Date(2026, 10, 23, 0, 0), now), '2026-11-23 00:00');
});

const rows = [
  ['db-prod', 'the main database of everything that is sold, with a long description'],
  ['x', null],
];

test('piped: tab-separated, nothing cut, control characters made visible', () => {
  assert.equal(
    formatTable(['name', 'text'], [...rows, ['a\tb', 'c\nd']], { width: null }),
    `name\ttext\n${rows[0]!.join('\t')}\nx\t\na\ufffdb\tc\ufffdd\n`,
  );
});

for (const width of [20, 40, 80, 200])
  test(`on a terminal of ${width} columns no line is wider, and the names stay whole`, () => {
    const lines = stripVTControlCharacters(formatTable(['name', 'text'], rows, { width })).split('\n');
    for (const line of lines) assert.ok(line.length <= width, line);
    assert.equal(lines[0]?.trimEnd().split(/\s+/).join(' '), 'name text');
    assert.ok(lines.some((line) => line.startsWith(width < 40 ? 'db-' : 'db-prod')));
    assert.equal(lines.length, 4);
  });

test('the banner can be pasted: a database that a relay named runs nothing and draws nothing', () => {
  const view: ServedView = {
    target: 'db-prod',
    relay: 'https://relay.example.com',
    profile: 'https://relay.example.com',
    protocol: 'postgres',
    server: 'PostgreSQL 15',
    session: '01M80BFEEBWGMRZQX15NS7JSEW',
    deadline: '2026-11-22T18:04:00Z',
    host: '127.0.0.1',
    port: 15_432,
    user: 'ana',
    database: 'app',
    hostKey: null,
    connections: 0,
    state: 'open',
  };
  assert.match(bannerOf(view)[1], /^ {2}psql "host=127.0.0.1 port=15432 user=ana dbname=app" /);
  const [, evil] = bannerOf({ ...view, database: `$(id)'\u001b[2J` });
  assert.ok(evil.startsWith(`  psql 'host=127.0.0.1 port=15432 user=ana dbname='\\''$(id)`), evil);
  assert.doesNotMatch(evil, /\p{Cc}/u);
});
