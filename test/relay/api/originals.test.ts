/** Originals of masked values: asked of a relay or a directory, opened at the auditor's. */
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import fastify from 'fastify';
import { generateHybridIdentity, generateIdentity, identityToRecipient } from 'age-encryption';
import { LocalSource, RelaySource } from '../../../src/cli/audit/source.ts';
import { identitiesIn, lineOf, unsealed, type Unsealed } from '../../../src/cli/audit/unseal.ts';
import { readEntries } from '../../../src/evidence/read/entries.ts';
import { parseRecipient } from '../../../src/evidence/recording/age.ts';
import { auditRoutes, ReadEntries } from '../../../src/relay/api/audit.ts';
import { sendProblem } from '../../../src/relay/api/problem.ts';
import type { OriginalsQuery } from '../../../src/wire/audit.ts';
import type { LoginId } from '../../../src/model/ids.ts';
import { newKey } from '../../identity/support.ts';
import { anaLogin, anaSession, History } from '../../evidence/read/history.ts';

async function maskedHistory(): Promise<{ history: History; identity: string; close: () => Promise<void> }> {
  const identity = await generateIdentity();
  const history = await new History().open();
  history.originals = [parseRecipient(await identityToRecipient(identity))!];
  await history.login(anaLogin, 'ana');
  const recorder = await history.session(anaSession, anaLogin, 'ana', null);
  const nowhere = { row: -1, column: -1, length: 4 };
  recorder.redaction(1, 3, 'mails', { ...nowhere, offset: 20, literal: 'statement' }, Buffer.from('a@b.c'));
  recorder.redaction(
    1,
    1,
    'cards',
    { ...nowhere, column: 0, offset: 0, literal: 'parameter' },
    Buffer.from([1, 255]),
  );
  recorder.command(1, 1, Buffer.from('select'), null, 'allow', null, null);
  recorder.redaction(
    1,
    1,
    'cards',
    { row: 7, column: 2, offset: 1, length: 4 },
    Buffer.from('4111\u001b[2J'),
  );
  recorder.output(1, 1, Buffer.from('****'));
  recorder.flush();
  return { history, identity, close: () => history.close(anaSession, recorder) };
}

async function all(items: AsyncIterable<Unsealed>): Promise<Unsealed[]> {
  const found: Unsealed[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test('from a directory: rule, place, command and original, while the segment is open and when it is sealed', async () => {
  const { history, identity, close } = await maskedHistory();
  await using _history = history;
  const source = new LocalSource(history.directory, history.directory);
  const look = async (who: string, choice: OriginalsQuery = {}) => {
    const session = await source.session(anaSession);
    return all(unsealed(session, source.originals(session, choice), [who]));
  };
  const open = await look(identity);
  await close();
  const sealed = await look(identity);
  assert.deepEqual(open, sealed);
  assert.deepEqual(
    sealed.map(({ rule, part, command, statement, row, column, original }) => [
      rule,
      part,
      command ?? statement,
      row,
      column,
      original,
    ]),
    [
      ['mails', 'statement', 3, null, null, 'a@b.c'],
      ['cards', 'parameter', 1, null, 0, '\\x01ff'],
      ['cards', 'row', 1, 7, 2, '4111\u001b[2J'],
    ],
  );
  assert.deepEqual(
    (await look(identity, { index: '2' })).map(({ sealed: index }) => index),
    [2],
  );
  const chosen = async (choice: OriginalsQuery) => (await look(identity, choice)).map(({ part }) => part);
  assert.deepEqual(await chosen({ rule: 'cards' }), ['parameter', 'row']);
  assert.deepEqual(await chosen({ rule: 'card' }), []);
  assert.deepEqual(
    await chosen({ command: 1, segment: 0 }),
    ['parameter', 'row'],
    'a statement is no command',
  );
  assert.deepEqual(await chosen({ command: 1, segment: 1 }), []);
  const { time, person } = sealed[0]!;
  assert.deepEqual([time, person], ['2026-11-21T12:00:00.000Z', 'ana@example.com']);
  assert.ok(sealed.every((one) => !lineOf(one).includes('\u001b[2J')));
  await assert.rejects(look(await generateIdentity()), { code: 'originals-locked' });
});

test('from a relay: who may unseal gets what is sealed, and the entry stands before the answer', async () => {
  const { history, identity, close } = await maskedHistory();
  await using _history = history;
  await close();
  await using app = fastify();
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  auditRoutes(app, {
    directory: history.directory,
    reads: new ReadEntries(history.append),
    signer: NoteSigner.generate('relay.example/log'),
    authorizeRead: async ({ headers }) => {
      const subject = String(headers['x-reader']);
      const issuer = 'https://id.example';
      return {
        login: anaLogin as LoginId,
        signed: async () => 'a.b.c',
        principal: { kind: 'person', issuer, subject, email: null, groups: [], actsFor: null },
        stepUp: null,
        isSignedIn: async () => true,
        mayRead: () => subject !== 'eve',
        mayUnseal: () => subject === 'uma',
      };
    },
  });
  const entries = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { entry } of readEntries(history.directory))
      if (entry.kind === 'evidence.read') found.push(`${entry.action} ${JSON.stringify(entry.filters)}`);
    return found;
  };
  const ask = (reader: string, query = '') =>
    app.inject({
      url: `/v1/audit/sessions/${anaSession}/originals${query}`,
      headers: { 'x-reader': reader },
    });
  assert.deepEqual([(await ask('lea')).statusCode, (await ask('eve')).statusCode], [403, 404]);
  assert.equal((await ask('uma', '?segment=x')).statusCode, 400);
  assert.deepEqual(await entries(), []);

  const answer = await ask('uma');
  for (const secret of ['a@b.c', Buffer.from('a@b.c').toString('base64'), identity])
    assert.equal(answer.body.includes(secret), false);
  assert.deepEqual(await entries(), ['unseal {}']);
  const source = new RelaySource(
    {
      relay: 'https://relay.example',
      signIn: { key: newKey },
      client: {
        get: () => assert.fail(),
        stream: async (url: string) => {
          const { body } = await app.inject({ url, headers: { 'x-reader': 'uma' } });
          return Readable.from([Buffer.from(body)]);
        },
      },
    },
    () => () => undefined,
  );
  const session = await new LocalSource(history.directory, history.directory).session(anaSession);
  const found = await all(unsealed(session, source.originals(session, { segment: 0 }), [identity]));
  assert.deepEqual(
    found.map(({ original }) => original),
    ['a@b.c', '\\x01ff', '4111\u001b[2J'],
  );
  assert.deepEqual(
    await all(unsealed(session, source.originals(session, { segment: 1, rule: 'cards' }), [identity])),
    [],
  );
  assert.deepEqual(await entries(), [
    'unseal {}',
    'unseal {"segment":"0"}',
    'unseal {"rule":"cards","segment":"1"}',
  ]);
});

test('an identity is one with its checksum, and of the kind that recipients are', async () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'hoop-identity-')), 'key');
  const identity = await generateIdentity();
  const look = (text: string): Promise<string[]> => {
    writeFileSync(file, text);
    return identitiesIn(file);
  };
  try {
    assert.deepEqual(await look(`# made by somebody\n${identity}\n\n`), [identity]);
    const other = identity.endsWith('Q') ? 'P' : 'Q';
    for (const wrong of ['', '# nothing', `${identity.slice(0, -1)}${other}`, await generateHybridIdentity()])
      await assert.rejects(look(wrong), { code: 'identity-invalid' }, wrong);
  } finally {
    rmSync(path.dirname(file), { recursive: true });
  }
});
