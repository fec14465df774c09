/**
 * What is left of reviews: nothing that is masked stands in the state, the log or a webhook, the record still proves what was
 * approved, and a relay that is killed in the middle leaves no review open.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { missing } from '../support/programs.ts';
import { Running, startStage } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads-review") permit (principal in Group::"leads", action == Action::"review", resource);
@id("deletes") @review("leads")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
`;
const skip = missing('postgresql');
const secret = 'a secret of the webhook';
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-review-record-'));
writeFileSync(path.join(directory, 'secret'), secret, { mode: 0o600 });

interface Told {
  readonly signed: boolean;
  readonly body: string;
}
const told: Told[] = [];
const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request.headers;
  const expected = createHmac('sha256', secret)
    .update(`${String(id)}.${String(time)}.${body}`)
    .digest('base64');
  told.push({ body, signed: signature === `v1,${expected}` });
  response.writeHead(204).end();
  server.emit('told');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

const stage = skip
  ? null
  : await startStage({
      policy,
      config: {
        logging: { level: 'debug' },
        sessions: { drain: '1s' },
        masking: { rules: [{ name: 'personal', detect: ['email', 'card'], mode: 'redact' }] },
        evidence: { seal: { discardOriginals: true } },
        reviews: {
          webhooks: [
            {
              url: `http://127.0.0.1:${port}/hook`,
              secret: `file:${path.join(directory, 'secret')}`,
              includeText: true,
            },
          ],
        },
      },
    });
after(async () => {
  await stage?.close();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

const planted = ['planted.literal@customers.example', 'planted.parameter@customers.example'] as const;

function leaks(): string[] {
  const { directory: root, installation } = stage!;
  const forms = planted.flatMap((text) => [
    text,
    ...[0, 1, 2].map((shift) =>
      Buffer.from('x'.repeat(shift) + text)
        .toString('base64')
        .slice(4, -4),
    ),
  ]);
  const files = [path.join(root, 'relay'), installation.evidence].flatMap((below) =>
    readdirSync(below, { recursive: true, encoding: 'utf8' })
      .map((name) => path.join(below, name))
      .filter((file) => statSync(file).isFile()),
  );
  const contents = [
    ...files.map((file) => [file, readFileSync(file)] as const),
    ['output', Buffer.from(installation.relay.output)] as const,
    ['webhook', Buffer.from(JSON.stringify(told))] as const,
  ];
  return contents.flatMap(([file, content]) =>
    forms.filter((form) => content.includes(form)).map((form) => `${file} has ${form}`),
  );
}

test(
  'what is masked is masked for the reviewer too, and the record proves what was approved',
  { skip },
  async () => {
    const { lea, installation, connect, postgres } = stage!;
    await postgres.sql('CREATE TABLE customers (email text); GRANT ALL ON customers TO app', 'app');
    await postgres.sql(`INSERT INTO customers VALUES ('${planted[0]}'), ('${planted[1]}'), ('stays')`, 'app');
    await lea.login(installation.url);
    const connected = await connect();
    const client = new pg.Client({ connectionString: connected.url });
    const noticed = Promise.withResolvers<string>();
    client.on('notice', ({ message }) => {
      const review = /hoop approve (\w{26})/.exec(message ?? '')?.[1];
      if (review !== undefined) noticed.resolve(review);
    });
    await client.connect();
    const done = client.query(`DELETE FROM customers WHERE email = '${planted[0]}' OR email = $1`, [
      planted[1],
    ]);
    const review = await noticed.promise;
    const shown = await lea.hoop('reviews', 'show', review, '--json');
    const view: { text: string; parameters: string[]; facts: { effects: string[] } } = JSON.parse(
      shown.stdout,
    );
    assert.match(view.text, /^DELETE FROM customers WHERE email = '\*+' OR email = \$1$/);
    assert.match(view.parameters[0]!, /^\*+$/);
    assert.ok(view.facts.effects.includes('delete'));
    const approved = await lea.hoop('approve', review);
    assert.equal(approved.code, 0, approved.output);
    assert.equal((await done).rowCount, 2, 'the target got what was typed');
    await client.end();
    await connected.running.stop('SIGINT');
    while (told.length < 2) await once(server, 'told');
    assert.ok(told.every(({ signed }) => signed));
    assert.deepEqual(
      told.map(({ body }) => (JSON.parse(body) as { type: string }).type),
      ['review.requested', 'review.approved'],
    );
    assert.match(told[0]!.body, /DELETE FROM customers WHERE email = \? OR email = \$1/);
    const verified = await stage!.verify();
    assert.equal(verified.code, 0, verified.output);
    assert.deepEqual(leaks(), []);
  },
);

test(
  'kill -9 while a command is held: it did not run, the review is withdrawn, the record verifies',
  { skip },
  async () => {
    const { lea, installation, connect, postgres } = stage!;
    const connected = await connect();
    const args = ['-X', '-c', "DELETE FROM customers WHERE email = 'stays'"];
    const psql = new Running(path.join(postgres.binDir, 'psql'), args, connected.env);
    const [, review] = await psql.says(/hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})/);
    await installation.stop('SIGKILL');
    assert.notEqual(await psql.ended, 0);
    await installation.start();
    const late = await lea.hoop('approve', review!);
    assert.match(late.stderr, /review-not-pending/);
    const withdrawn = await lea.hoop('reviews', '--state', 'withdrawn');
    assert.match(withdrawn.stdout, new RegExp(review!));
    assert.equal(
      (await postgres.sql("SELECT count(*) FROM customers WHERE email = 'stays'", 'app')).trim(),
      '1',
    );
    const verified = await stage!.verify();
    assert.equal(verified.code, 0, verified.output);
    await connected.running.stop('SIGINT');
  },
);
