/** Messages about reviews, against a real HTTP server: signed, tried again, bounded, and never more than was asked for. */
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SessionId, TargetName } from '../../../src/model/ids.ts';
import type { WebhookConfig } from '../../../src/relay/config/config.ts';
import { SecretReference } from '../../../src/relay/config/secret.ts';
import { withoutLiterals } from '../../../src/relay/reviews/webhook-message.ts';
import { Webhooks, type WebhooksOptions } from '../../../src/relay/reviews/webhooks.ts';
import type { NewReview, StoredDecision } from '../../../src/relay/state/reviews.ts';
import { systemClock } from '../../../src/system/clock.ts';

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const key = Buffer.from('a key of twenty-four byte');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-webhooks-'));
let server: Server;
let url: string;
let received: Received[] = [];
let arrived = Promise.withResolvers<void>();
/** Statuses to answer with, in turn; then 204. */
let answers: number[] = [];
const open: Webhooks[] = [];

before(async () => {
  writeFileSync(path.join(directory, 'secret'), `whsec_${key.toString('base64')}\n`, { mode: 0o600 });
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    received.push({ path: request.url ?? '', headers: request.headers, body });
    response.writeHead(answers.shift() ?? 204, { location: '/elsewhere' }).end();
    arrived.resolve();
    arrived = Promise.withResolvers();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
afterEach(() => {
  for (const webhooks of open.splice(0)) webhooks.close();
  [received, answers] = [[], []];
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

const until = async (count: number) => {
  while (received.length < count) await arrived.promise;
};

const secret = () => SecretReference.parse('file:secret', directory);
const webhook = (changes: Partial<WebhookConfig> = {}): WebhookConfig => ({
  url,
  secret: secret(),
  format: 'json',
  groups: [],
  includeText: false,
  ...changes,
});

function tell(webhooks: WebhookConfig[], options: Partial<WebhooksOptions> = {}): Webhooks {
  const relay = 'https://relay.example';
  const made = new Webhooks({
    webhooks,
    relay,
    clock: systemClock,
    retryMs: [1, 1, 1],
    onFailure: () => assert.fail('delivered'),
    ...options,
  });
  open.push(made);
  return made;
}

const person = (subject: string) => ({
  kind: 'person' as const,
  issuer: 'https://idp.example',
  subject,
  email: `${subject}@example.com`,
  groups: [],
  actsFor: null,
});
const review: NewReview = {
  id: '01JD0000000000000000000001',
  session: '01JD0000000000000000000002' as SessionId,
  processId: 'p',
  requester: person('ana'),
  target: 'db-prod' as TargetName,
  reason: '<!channel> *incident* `7` & more',
  task: null,
  text: Buffer.from("update customers set email = 'secret@example.com' where id = 4711 -- 4111111111111111"),
  parameters: Buffer.from('secret parameters'),
  parameterTypes: [],
  encoding: 'UTF8',
  facts: { effects: ['write'], relations: ['customers'], functions: [], programs: [] },
  policies: ['p'],
  needed: [{ group: 'dba-leads', count: 1 }],
  digest: '0'.repeat(64),
  createdAtMs: 0,
  expiresAtMs: Date.UTC(2026, 10, 22),
};
const decision: StoredDecision = {
  reviewer: person('ben'),
  login: '01JD0000000000000000000003' as StoredDecision['login'],
  decision: 'reject',
  reason: 'not today',
  request: 'a.b.c',
  decidedAtMs: 0,
};

test('signed as Standard Webhooks say, and without the command', async () => {
  const webhooks = tell([webhook()]);
  webhooks.requested(review);
  await until(1);
  webhooks.over(review, 'rejected', decision);
  await until(2);
  const [first, second] = received as [Received, Received];
  const { headers, body } = first;
  const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const signature = createHmac('sha256', key).update(content).digest('base64');
  assert.equal(headers['webhook-signature'], `v1,${signature}`);
  assert.match(String(headers['webhook-id']), /^msg_\w{26}$/);
  assert.ok(Math.abs(Number(headers['webhook-timestamp']) * 1000 - Date.now()) < 60_000);
  const message: { type: string; data: Record<string, unknown> } = JSON.parse(body);
  assert.equal(message.type, 'review.requested');
  assert.deepEqual(message.data['effects'], ['write']);
  assert.deepEqual(message.data['relations'], ['customers']);
  assert.ok(!('text' in message.data));
  const after: typeof message = JSON.parse(second.body);
  assert.equal(after.type, 'review.rejected');
  assert.equal(after.data['decisionReason'], 'not today');
  assert.notEqual(second.headers['webhook-id'], headers['webhook-id']);
  for (const { body: text } of received)
    for (const hidden of ['secret', 'update', '4711', '4111']) assert.ok(!text.includes(hidden), hidden);
});

test('a body for Slack, in which nobody is mentioned and nothing is formatted by what a person wrote', async () => {
  tell([webhook({ format: 'slack', secret: null })]).requested(review);
  await until(1);
  const [{ headers, body }] = received as [Received];
  assert.equal(headers['webhook-signature'], undefined);
  const message: { text: string; blocks: { type: string; text: { text: string } }[] } = JSON.parse(body);
  assert.equal(message.text, 'Review requested: ana@example.com asks to write on db-prod');
  const shown = message.blocks.map(({ text }) => text.text).join('\n');
  assert.match(shown, /hoop approve 01JD0000000000000000000001/);
  assert.match(shown, /dba-leads \(1\)/);
  assert.match(shown, /&lt;!channel&gt; \u200b\*incident\u200b\* \u200b`7\u200b` &amp; more/);
});

test('with includeText: the beginning of the command, without literals and comments', async () => {
  tell([webhook({ includeText: true })]).requested(review);
  await until(1);
  const message: { data: { text: string } } = JSON.parse(received[0]!.body);
  assert.equal(message.data.text, 'update customers set email = ? where id = ?');
});

test('literals are left out whatever their quotes', () => {
  const cases: [string, string][] = [
    [`select 'it''s', "col 1", c2, 3.14e5, $1`, 'select ?, "col 1", c2, ?, $1'],
    [`select E'a\\'b', 'c'`, 'select E?, ?'],
    [`select $$secret$$, $tag$ secret $$ $tag$, x`, 'select ?, ?, x'],
    [`select 'open secret`, 'select ?'],
    [`select /* secret */ 1 -- secret`, 'select   ?  '],
    [`select $x$open secret`, 'select ?'],
    [`select U&'secret' || B'101'`, 'select U&? || B?'],
  ];
  for (const [sql, expected] of cases) assert.equal(withoutLiterals(sql), expected, sql);
});

test('tried again until it is taken, with the same id and a signature of its own', async () => {
  answers = [500, 429, 302];
  tell([webhook()]).requested(review);
  await until(4);
  assert.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.ok(
    received.every(({ path: where }) => where === '/hook'),
    'a redirect is not followed',
  );
});

test('given up after the last attempt, and the operator is told where to without the path', async () => {
  answers = [500, 500, 500, 500, 500];
  const failed = Promise.withResolvers<[string, unknown]>();
  tell([webhook()], { onFailure: (address, error) => failed.resolve([address, error]) }).requested(review);
  const [address, error] = await failed.promise;
  assert.equal(address, new URL(url).host);
  assert.match(String(error), /answered 500/);
  assert.equal(received.length, 4);
});

test('one that is down, or that hangs, holds up neither the others nor who tells', async () => {
  const hangs = createServer(() => undefined);
  hangs.listen(0, '127.0.0.1');
  await once(hangs, 'listening');
  const hanging = `http://127.0.0.1:${(hangs.address() as AddressInfo).port}/`;
  const webhooks = tell([webhook({ url: 'http://127.0.0.1:1/' }), webhook({ url: hanging }), webhook()], {
    onFailure: () => undefined,
  });
  for (let i = 0; i < 20; i++) webhooks.requested(review);
  await until(20);
  webhooks.close();
  hangs.closeAllConnections();
  hangs.close();
});

test('what waits is bounded, and a closed one sends no more', async () => {
  let failures = 0;
  const webhooks = tell([webhook({ url: 'http://127.0.0.1:1/' })], {
    retryMs: [60_000],
    onFailure: () => failures++,
  });
  for (let i = 0; i < 1005; i++) webhooks.requested(review);
  assert.equal(failures, 5);
  webhooks.close();
  const closed = tell([webhook()]);
  closed.close();
  closed.requested(review);
  const alive = tell([webhook()]);
  alive.requested(review);
  await until(1);
  assert.equal(received.length, 1);
});

test('only who asked for a group is told; plain http, a short or missing secret sends nothing', async () => {
  const told: unknown[] = [];
  const failed = Promise.withResolvers<void>();
  const short = path.join(directory, 'short');
  writeFileSync(short, 'short', { mode: 0o600 });
  const wrong = [
    webhook({ url: 'http://webhook.example/' }),
    webhook({ secret: SecretReference.parse('file:short', directory) }),
    webhook({ secret: SecretReference.parse('file:missing', directory) }),
  ];
  const webhooks = tell([webhook({ groups: ['security'] }), webhook({ groups: ['dba-leads'] }), ...wrong], {
    retryMs: [],
    onFailure: (_address, error) => {
      told.push(error);
      if (told.length === 3) failed.resolve();
    },
  });
  webhooks.requested(review);
  await until(1);
  await failed.promise;
  assert.equal(received.length, 1);
  assert.ok(told.every((error) => error instanceof Error && 'code' in error));
});
