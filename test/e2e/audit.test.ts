/** The audit commands, through the real binary, against a relay and against what was exported from it. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { Running, startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

interface Found {
  readonly kind: string;
  readonly where?: string;
  readonly line?: readonly string[];
}

interface Line {
  readonly kind: string;
  readonly text: string | null;
  readonly session: string | null;
}
const jsonLines = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

const withoutReads = (lines: Line[]): Line[] => lines.filter(({ kind }) => kind !== 'evidence.read');

test(
  'watch, list, show, replay, export, verify: the relay and its export tell the same',
  { skip },
  async () => {
    const { ana, lea, installation, postgres, directory } = stage!;
    await lea.login(installation.url);
    const tail = Running.hoop(['audit', 'tail', '--json'], lea.env);
    await tail.says(/watching/);
    const psql = path.join(postgres.binDir, 'psql');
    const sql = "SELECT 40 + 2 AS answer, 'a,b' AS text";
    const ran = await ana.hoop('connect', 'db', '--task', 'T-1', '--', psql, '-Xc', sql);
    assert.equal(ran.code, 0, ran.stderr);
    await tail.says(/"kind":"session\.closed"/);
    assert.equal(await tail.stop('SIGINT'), 0, tail.stderr);
    const watched = jsonLines(tail.stdout);
    assert.ok(watched.some(({ kind, text }) => kind === 'command' && text === sql));
    const { session } = watched.find(({ kind }) => kind === 'session.opened')!;

    const listed = await lea.hoop('audit', 'sessions', '--task', 'T-1');
    assert.match(listed.stdout, new RegExp(`${session}\tana@example.com\tdb`));
    assert.equal((await lea.hoop('audit', 'sessions', '--task', 'T-2')).stdout, '');
    const shown = await lea.hoop('audit', 'show', session!);
    assert.ok(shown.stdout.includes(sql) && shown.stdout.includes('SELECT 1'), shown.stdout);
    assert.equal((await lea.hoop('audit', 'show', '01JD0000000000000000000000')).code, 2);
    const replayed = await lea.hoop('audit', 'replay', session!, '--no-wait');
    assert.match(replayed.stdout, /=> SELECT 40 \+ 2[^\n]*\nanswer\ttext\n42\ta,b\nSELECT 1\n/);
    const verified = await lea.hoop('audit', 'verify', '--json');
    assert.equal(verified.code, 0, verified.stdout);
    // The second time it also proves that the log extends the one seen the first time.
    assert.equal((await lea.hoop('audit', 'verify')).code, 0);

    const out = path.join(directory, 'export');
    const exported = await lea.hoop('audit', 'export', '--out', out);
    assert.equal(exported.code, 0, exported.stderr);
    assert.equal((await lea.hoop('audit', 'export', '--out', out)).code, 2);
    const refused = path.join(directory, 'refused');
    const denied = await stage!.ana.hoop('audit', 'export', '--out', refused);
    assert.equal(denied.code, 3, denied.stderr);
    assert.deepEqual(readdirSync(refused), []);
    const earlier = path.join(out, 'log', 'checkpoint');
    assert.equal((await lea.hoop('audit', 'verify', '--since', earlier)).code, 0);
    const forged = path.join(directory, 'forged');
    writeFileSync(forged, readFileSync(earlier, 'utf8').replace(/\n\d+\n/, '\n99999999\n'));
    assert.equal((await lea.hoop('audit', 'verify', '--since', forged)).code, 6);
    const partial = path.join(directory, 'partial');
    await lea.hoop('audit', 'export', '--out', partial, '--task', 'T-1');
    for (const file of ['events.csv', 'events.jsonl', 'vkey', 'log/checkpoint'])
      assert.ok(existsSync(path.join(out, file)), file);
    const online = jsonLines(
      (await lea.hoop('audit', 'export', '--format', 'jsonl', '--session', session!)).stdout,
    );
    const offline = await lea.hoop(
      'audit',
      'export',
      '--dir',
      out,
      '--format',
      'jsonl',
      '--session',
      session!,
    );
    assert.deepEqual(withoutReads(online), withoutReads(jsonLines(offline.stdout)));
    assert.equal(
      (await lea.hoop('audit', 'replay', '--dir', out, session!, '--no-wait')).stdout,
      replayed.stdout,
    );
    assert.equal((await lea.hoop('audit', 'verify', out)).code, 0);
    assert.equal((await lea.hoop('audit', 'verify', partial, '--partial')).code, 0);

    const key = path.join(out, 'vkey');
    const [recording] = readdirSync(path.join(out, 'recordings'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(path.join(session!, '0.cbor.zst')))
      .map((file) => path.join(out, 'recordings', file));
    assert.ok(recording !== undefined);
    const bytes = readFileSync(recording);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(recording, bytes);
    const changed = await stage!.ana.hoop('audit', 'verify', out, '--vkey-file', key);
    assert.equal(changed.code, 6);
    assert.match(changed.stdout, new RegExp(session!));
  },
);

test(
  'search: at the relay and in an export, with what it found, its counts and its exit codes',
  { skip },
  async () => {
    const { ana, lea, installation, postgres, directory } = stage!;
    await lea.login(installation.url);
    const psql = path.join(postgres.binDir, 'psql');
    const sql = "SELECT 'Treasure-' || n AS place FROM generate_series(1, 3) n";
    const ran = await ana.hoop('connect', 'db', '--task', 'T-9', '--', psql, '-Xc', sql);
    assert.equal(ran.code, 0, ran.stderr);
    const found = async (...args: string[]) => {
      const { code, stdout, stderr } = await lea.hoop('audit', 'search', ...args, '--json');
      assert.equal(code, 0, stdout + stderr);
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Found)
        .filter(({ kind }) => kind === 'match')
        .map(({ where, line }) => `${where} ${line!.join('|')}`);
    };
    const expected = [
      "command SELECT '|Treasure|-' || n AS place FROM generate_series(1, 3) n",
      'output |Treasure|-1',
      'output |Treasure|-2',
      'output |Treasure|-3',
    ];
    assert.deepEqual((await found('Treasure', '--task', 'T-9')).toSorted(), expected);
    assert.deepEqual(await found('/treasure-[23]/i', '--kind', 'output'), [
      'output |Treasure-2|',
      'output |Treasure-3|',
    ]);

    const text = await lea.hoop('audit', 'search', 'treasure-2', '--ignore-case', '--context', '1');
    assert.match(
      text.stdout,
      /^[0-9A-Z]{26} {2}db {2}ana@example\.com {2}T-9\n {4}Treasure-1\n.* output {2}Treasure-2\n {4}Treasure-3\n/,
    );
    assert.match(text.stderr, /1 line in \d+ of \d+ sessions/);
    const none = await lea.hoop('audit', 'search', 'no such thing');
    assert.deepEqual([none.code, none.stdout], [7, '']);
    assert.equal((await lea.hoop('audit', 'search', '/(a/')).code, 2);
    assert.equal((await ana.hoop('audit', 'search', 'Treasure')).code, 3);

    const out = path.join(directory, 'searched');
    await lea.hoop('audit', 'export', '--out', out);
    assert.deepEqual((await found('Treasure', '--task', 'T-9', '--dir', out)).toSorted(), expected);
    const reads = jsonLines((await lea.hoop('audit', 'export', '--format', 'jsonl', '--dir', out)).stdout);
    assert.ok(
      reads.some((line) => line.kind === 'evidence.read' && JSON.stringify(line).includes('treasure-[23]')),
    );
    assert.equal((await lea.hoop('audit', 'verify', out, '--attribution')).code, 0);
  },
);
