/** The history pushed to real receivers: whatever is killed or away, each has everything at the end, and nobody waits. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventId } from '../../src/evidence/export/event-id.ts';
import type { EvidenceEvent } from '../../src/evidence/read/event.ts';
import { EvidenceFixture } from '../evidence/verify/fixture.ts';
import { makeAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, startStage, type Stage } from '../support/relay.ts';
import { Rsyslog } from '../support/rsyslog.ts';

const skip = missing('postgresql') || missing('rsyslog') || missing('openssl');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-streams-'));
const file = (name: string): string => path.join(directory, name);
const token = 'receiver-token-4711';

class WebReceiver {
  readonly lines: string[] = [];
  mode: 'takes' | 'fails' | 'stalls' = 'takes';
  readonly refused: string[] = [];
  readonly server;

  constructor(tls: { readonly cert: string; readonly key: string }) {
    this.server = createServer(tls, (request, response) => {
      if (this.mode === 'stalls') return;
      if (request.headers.authorization !== `Bearer ${token}`) this.refused.push(String(request.url));
      if (this.mode === 'fails') return void response.writeHead(503).end('later');
      void this.#take(request).then(() => response.writeHead(202).end());
    });
  }

  async #take(request: IncomingMessage): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    this.lines.push(...text.split('\n').slice(0, -1));
  }

  get ids(): string[] {
    return this.lines.map((line) => (JSON.parse(line) as { metadata: { uid: string } }).metadata.uid);
  }
}

const open: { stage?: Stage; rsyslog?: Rsyslog; web?: WebReceiver } = {};
after(async () => {
  open.web?.server.closeAllConnections();
  open.web?.server.close();
  await open.stage?.close();
  await open.rsyslog?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const fileIds = (name: string): string[] => fileEvents(name).map(eventId);
const fileEvents = (name: string): EvidenceEvent[] =>
  existsSync(file(name))
    ? readFileSync(file(name), 'utf8')
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as EvidenceEvent)
    : [];

test(
  'syslog over TLS, https and a file get everything, whatever is killed or away meanwhile',
  { skip },
  async () => {
    const authority = await makeAuthority(file('tls'));
    const tls = await authority.issue('localhost', ['localhost', '127.0.0.1']);
    const rsyslog = (open.rsyslog = await Rsyslog.start(file('rsyslog'), {
      ca: authority.caFile,
      cert: tls.certFile,
      key: tls.keyFile,
    }));
    const web = (open.web = new WebReceiver({
      cert: readFileSync(tls.certFile, 'utf8'),
      key: readFileSync(tls.keyFile, 'utf8'),
    }));
    await new Promise<void>((resolve) => web.server.listen(0, '127.0.0.1', resolve));
    const webPort = (web.server.address() as AddressInfo).port;
    writeFileSync(file('token'), `${token}\n`, { mode: 0o600 });
    const streams = [
      { name: 'siem', to: `syslog+tls://localhost:${rsyslog.port}`, caFile: authority.caFile },
      {
        name: 'web',
        to: `https://localhost:${webPort}/in`,
        format: 'ocsf',
        token: `file:${file('token')}`,
        caFile: authority.caFile,
      },
      { name: 'copy', to: `file:${file('copy.jsonl')}` },
    ];
    const stage = (open.stage = await startStage({ config: { evidence: { streams } } }));
    const { ana, lea, installation } = stage;
    await lea.login(installation.url);
    const psql = async (sql: string): Promise<void> => {
      const ran = await ana.hoop('connect', 'db', '--task', 'T-9', '--', 'psql', '-Xc', sql);
      assert.equal(ran.code, 0, ran.stderr);
    };
    await psql('select \'first\n\t"line" ]\'');
    const has = (text: string) => ({
      siem: () => rsyslog.received().some(({ message }) => message.includes(text)),
      web: () => web.lines.some((line) => line.includes(text)),
      copy: () => fileEvents('copy.jsonl').some((event) => event.text?.includes(text)),
    });
    for (const [name, arrived] of Object.entries(has('first'))) await eventually(`${name} has it`, arrived);
    const first = rsyslog
      .received()
      .find(({ kind, message }) => kind === 'command' && message.includes('first'))!;
    assert.match(
      first.data,
      /^\[hoop@32473 id="command-[^"]+" .*email="ana@example\.com".* target="db" task="T-9" outcome="succeeded"\]$/,
    );
    assert.equal(
      (JSON.parse(first.message.slice(first.message.indexOf('{'))) as EvidenceEvent).text,
      'select \'first\n\t"line" ]\'',
    );

    // A receiver that is gone, one that takes the connection and never answers, a relay that is killed.
    await rsyslog.stop();
    web.mode = 'stalls';
    await psql("select 'second'");
    await eventually('the file goes on by itself', has('second').copy);
    await installation.stop('SIGKILL');
    await installation.start();
    await psql("select 'third'");
    web.server.closeAllConnections();
    web.mode = 'fails';
    await delay(1500);
    web.mode = 'takes';
    await rsyslog.restart();
    for (const text of ['second', 'third'])
      for (const [name, arrived] of Object.entries(has(text)))
        await eventually(`${name} has it`, arrived, 60_000);

    // Everything that the record tells is at each of them.
    const exported = await lea.hoop('audit', 'export', '--format', 'jsonl');
    const events = exported.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as EvidenceEvent);
    const siemIds = () => rsyslog.received().map(({ data }) => / id="([^"]+)"/.exec(data)![1]!);
    for (const [name, ids] of Object.entries({
      siem: siemIds,
      web: () => web.ids,
      copy: () => fileIds('copy.jsonl'),
    }))
      await eventually(`${name} has every event`, () => {
        const there = new Set(ids());
        return events.every((event) => there.has(eventId(event)));
      });
    const copied = new Map(fileEvents('copy.jsonl').map((event) => [eventId(event), event]));
    for (const event of events) assert.deepEqual(copied.get(eventId(event)), event);
    assert.deepEqual(web.refused, [], 'each request had the token');
    assert.equal(statSync(file('copy.jsonl')).mode & 0o777, 0o600);
    const metrics = await (await installation.fetch(new URL('/metrics', installation.url))).text();
    assert.match(metrics, /hoop_stream_lag_entries\{stream="copy"\} \d+/);
    assert.doesNotMatch(installation.relay.output, new RegExp(token));

    // By a person, from the relay and from a directory; killed in between.
    const to = `file:${file('hers.jsonl')}`;
    const running = lea.start('audit', 'stream', '--to', to, '--task', 'T-9');
    await eventually('she has the first', () =>
      fileEvents('hers.jsonl').some(({ text }) => text?.includes('third')),
    );
    await running.stop('SIGKILL');
    const before = fileIds('hers.jsonl');
    await psql("select 'fourth'");
    const again = lea.start('audit', 'stream', '--to', to, '--task', 'T-9');
    await eventually('and the next', () =>
      fileEvents('hers.jsonl').some(({ text }) => text?.includes('fourth')),
    );
    assert.equal(await again.stop('SIGINT'), 0, again.output);
    assert.ok(
      fileIds('hers.jsonl').length < 2 * before.length + 8,
      'it went on where it was, but for the last batch',
    );
    assert.ok(fileEvents('hers.jsonl').every(({ task }) => task === 'T-9'));
    const reads = (await lea.hoop('audit', 'export', '--format', 'jsonl')).stdout.match(/"action":"tail"/g);
    assert.equal(reads?.length, 2, 'reading leaves one entry each time');
    const { mallory } = stage;
    await mallory.login(installation.url);
    const refused = await mallory.hoop('audit', 'stream', '--to', `file:${file('none')}`);
    assert.deepEqual([refused.code, existsSync(file('none'))], [3, false]);
  },
);

/** Everything that the relay tells of a task is in the file. */
async function hasAll({ lea }: Stage, name: string, task: string): Promise<void> {
  const exported = await lea.hoop('audit', 'export', '--format', 'jsonl', '--task', task);
  assert.equal(exported.code, 0, exported.stderr);
  const expected = exported.stdout.trim().split('\n').map((line) => eventId(JSON.parse(line))); // prettier-ignore
  await eventually('every event is there', () => {
    const there = new Set(fileIds(name));
    return expected.every((id) => there.has(id));
  });
}

const arrives = (text: string) =>
  eventually(`${text} arrives`, () => fileEvents('live.jsonl').some((event) => event.text?.includes(text)));

test(
  'her stream goes on by itself when the relay comes back, and ends with her sign-in',
  { skip: missing('postgresql') },
  async () => {
    await using stage = await openStage();
    const { ana, lea, installation } = stage;
    await lea.login(installation.url);
    const psql = async (sql: string): Promise<void> => {
      const ran = await ana.hoop('connect', 'db', '--task', 'T-1', '--', 'psql', '-Xc', sql);
      assert.equal(ran.code, 0, ran.stderr);
    };
    await psql("select 'one'");
    const streaming = lea.start('audit', 'stream', '--to', `file:${file('live.jsonl')}`, '--task', 'T-1');
    await arrives('one');

    // Once in order, once killed in the middle of what it does.
    for (const [signal, text] of [
      ['SIGTERM', 'two'],
      ['SIGKILL', 'three'],
    ] as const) {
      await installation.stop(signal);
      await streaming.says(/trying again/);
      await installation.start();
      await psql(`select '${text}'`);
      await arrives(text);
    }
    await hasAll(stage, 'live.jsonl', 'T-1');

    const args = ['admin', 'logins', 'end', '--of', lea.email, '--reason', 'laptop stolen'];
    const ended = await hoop([...args, '--config', installation.configFile], { env: installation.env });
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(await streaming.ended, 4, streaming.output);
    assert.match(streaming.stderr, /hoop: .*sign-in[^]*\(login-expired\)[^]*hoop login/);
    const before = readFileSync(file('live.jsonl'), 'utf8');
    await psql("select 'four'");

    // Signed in again, the same command goes on where it was: nothing is missing.
    await lea.login(installation.url);
    const again = lea.start('audit', 'stream', '--to', `file:${file('live.jsonl')}`, '--task', 'T-1');
    await arrives('four');
    await hasAll(stage, 'live.jsonl', 'T-1');
    assert.equal(await again.stop('SIGINT'), 0, again.output);
    assert.ok(readFileSync(file('live.jsonl'), 'utf8').startsWith(before), 'what was there stays');
  },
);

async function openStage(): Promise<Stage & AsyncDisposable> {
  const stage = await startStage();
  return { ...stage, [Symbol.asyncDispose]: stage.close };
}

test('a cursor ahead of the log is refused', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.history();
  await fixture.log.checkpoint();
  const { directory: evidence } = fixture;
  const to = `file:${file('ahead.jsonl')}`;
  const cursor = file('ahead.json');
  const [log] = readFileSync(path.join(evidence, 'log/checkpoint'), 'utf8').split('\n');
  writeFileSync(cursor, JSON.stringify({ v: 1, log, to, next: 100_000 }), { mode: 0o600 });
  const args = ['audit', 'stream', '--to', to, '--dir', evidence, '--cursor', cursor];
  const { code, stderr } = await hoop(args, { env: { PATH: process.env['PATH'], HOME: directory } });
  assert.equal(code, 1, stderr);
  assert.match(stderr, /log-shorter[^]*new cursor/);
  assert.ok(!existsSync(file('ahead.jsonl')));
});

test('a destination that cannot be is refused before anything is read', async () => {
  for (const [to, why] of [
    ['http://siem.example.com/', /no destination[\s\S]*syslog\+tls/],
    ['https://user:secret@siem.example.com/', /no destination/],
    ['https://siem.example.com/?token=secret', /no destination/],
    ['syslog://siem.example.com', /no destination/],
  ] as const) {
    const env = { PATH: process.env['PATH'], HOME: directory };
    const { code, stderr } = await hoop(['audit', 'stream', '--to', to, '--dir', directory], { env });
    assert.equal(code, 2, stderr);
    assert.match(stderr, why);
    assert.doesNotMatch(stderr, /secret/);
  }
});
