/** Originals sealed to others: what the relay takes, and what is there when it dies behind any of its steps. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { identityToRecipient } from 'age-encryption';
import { Log } from '../../src/evidence/log/log.ts';
import { encryptAge, parseRecipient } from '../../src/evidence/recording/age.ts';
import { sessionPath } from '../../src/evidence/recording/layout.ts';
import { verify } from '../../src/evidence/verify/index.ts';
import { resolveRetention, RetentionFile } from '../../src/relay/config/retention.ts';
import { Resealing, type Resealed, type ResealingOptions } from '../../src/relay/retention/resealing.ts';
import { Retention } from '../../src/relay/retention/retention.ts';
import { durableFiles, type DurableFiles } from '../../src/system/durable-file.ts';
import type { TestLogin, TestSession } from '../evidence/verify/fixture.ts';
import { openAge, otherAuditor, RecordedHistory } from '../evidence/verify/recorded-history.ts';

const other = parseRecipient(await identityToRecipient(otherAuditor))!;
const sha256 = (bytes: Buffer): string => hash('sha256', bytes, 'hex');

let history: RecordedHistory;
let ana: TestLogin;
let [over, held, open, plain]: TestSession[] = [];

before(async () => {
  history = await RecordedHistory.create();
  ana = await history.fixture.signIn('ana');
  const live = [];
  for (const masked of [true, true, true, false]) {
    const session = await history.open(ana);
    history.command(session, 'select card from cards', { masked });
    live.push(session);
  }
  for (const [at, session] of live.entries()) if (at !== 2) await history.close(session);
  [over, held, open, plain] = live.map(({ of }) => of);
});
after(() => history[Symbol.asyncDispose]());

const fileOf = (evidence: string, { session, openedAtMs }: TestSession): string =>
  path.join(evidence, sessionPath(openedAtMs, session), '0.age');

function retentionOf(directory: string, log: Log): Retention {
  return new Retention({
    directory,
    rules: resolveRetention(RetentionFile.parse({})),
    append: (entry) => log.append(entry),
    log,
    clock: history.fixture.clock,
    logger: {
      info: () => undefined,
      warn: (event: string) => assert.fail(event),
      error: (event: string) => assert.fail(event),
    },
  });
}

function resealing(directory: string, log: Log, more: Partial<ResealingOptions> = {}): Resealing {
  return new Resealing({
    directory,
    append: (entry) => log.append(entry),
    log,
    retention: retentionOf(directory, log),
    logger: { warn: () => undefined, error: (event: string) => assert.fail(event) },
    ...more,
  });
}

/** What an auditor signs and sends. */
function asked(of: TestSession, before: Buffer, age: Buffer, recipients = [other.text]): Resealed {
  const said = { session: of.session, segment: 0, from: sha256(before), to: sha256(age), recipients };
  return {
    kind: 'originals.resealed',
    actor: ana.actor,
    ...said,
    login: ana.login,
    request: ana.sign({ action: 'originals.reseal', ...said }),
  };
}

test('what is not an age file as signed, as long as the old one, of an ended session and free, is refused', async () => {
  const { directory, log } = history.fixture;
  const before = readFileSync(fileOf(directory, over!));
  const content = await openAge(before);
  const age = encryptAge([other], content);
  const retention = retentionOf(directory, log);
  const { hold } = await retention.placeHold({ session: held!.session }, { account: 'root', reason: 'case' });
  const size = log.size;
  const stanza = age.indexOf('\n---');
  const refused: [string, RegExp, Resealed, Buffer][] = [
    ['open', /not over/, asked(open!, before, age), age],
    ['held', new RegExp(hold), asked(held!, readFileSync(fileOf(directory, held!)), age), age],
    ['no originals', /none in this segment/, asked(plain!, before, age), age],
    ['unknown', /not over/, { ...asked(over!, before, age), session: '01JD0000000000000000000000' }, age],
    ['another old one', /meanwhile/, asked(over!, age, age), age],
    ['longer', /longer or shorter/, ...sent(encryptAge([other], Buffer.concat([content, Buffer.alloc(1)])))],
    ['empty', /longer or shorter/, ...sent(encryptAge([other], Buffer.alloc(0)))],
    ['two recipients', /as many/, ...sent(encryptAge([other, other], content))],
    ['one of two', /as many/, asked(over!, before, age, [other.text, await fresh()]), age],
    ['named twice', /named twice/, asked(over!, before, age, [other.text, other.text]), age],
    ['no recipient', /is none/, asked(over!, before, age, [`age1${'q'.repeat(58)}`]), age],
    ['no age file', /no age file/, ...sent(content)],
    ['another stanza', /no age file/, ...sent(inserted(age, stanza, '\n-> scrypt AAAA 18\nAAAA'))],
    ['armoured', /no age file/, ...sent(Buffer.from(`-----BEGIN AGE ENCRYPTED FILE-----\n`))],
  ];
  function sent(file: Buffer): [Resealed, Buffer] {
    return [asked(over!, before, file), file];
  }
  for (const [name, why, entry, file] of refused)
    await assert.rejects(resealing(directory, log).replace(entry, file), { code: 'reseal-refused', message: why }, name); // prettier-ignore
  writeFileSync(fileOf(directory, over!), content);
  await assert.rejects(resealing(directory, log).replace(...sent(age)), /not the one that the log names/);
  writeFileSync(fileOf(directory, over!), before);
  assert.equal(log.size, size, 'no entry');
  assert.equal(existsSync(`${fileOf(directory, over!)}.tmp`), false);
});

const fresh = (): Promise<string> =>
  identityToRecipient('AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX');
const inserted = (bytes: Buffer, at: number, text: string): Buffer =>
  Buffer.concat([bytes.subarray(0, at), Buffer.from(text), bytes.subarray(at)]);

test('dead behind any step: the record verifies, and the next start puts in place what the log names', async () => {
  const base = mkdtempSync(path.join(tmpdir(), 'hoop-resealing-'));
  const { directory, log, vkey, signer, clock } = history.fixture;
  const photographs: { directory: string; behind: string }[] = [];
  const photograph = (behind: string): void => {
    const copy = path.join(base, String(photographs.length));
    cpSync(directory, copy, { recursive: true });
    photographs.push({ directory: copy, behind });
  };
  const step =
    <Args extends unknown[], Result>(name: string, work: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      const result = await work(...args);
      photograph(name);
      return result;
    };
  try {
    const before = readFileSync(fileOf(directory, over!));
    const age = encryptAge([other], await openAge(before));
    const create: DurableFiles['create'] = async (file) => {
      const made = await durableFiles.create(file);
      const append = step('append', (bytes: Uint8Array) => made.append(bytes.subarray(0, 100)));
      return {
        append: async (bytes) => {
          await append(bytes);
          await made.append(bytes.subarray(100));
        },
        sync: step('sync', () => made.sync()),
        close: () => made.close(),
      };
    };
    const files = {
      ...durableFiles,
      create: step('create', create),
      rename: step('rename', durableFiles.rename),
      syncDirectory: step('directory', durableFiles.syncDirectory),
    };
    await resealing(directory, log, {
      files,
      append: step('entry', (entry) => log.append(entry)),
      log: { covered: step('covered', (signal: AbortSignal) => log.covered(signal)) },
    }).replace(asked(over!, before, age), age);
    assert.deepEqual(
      photographs.map(({ behind }) => behind),
      ['create', 'append', 'sync', 'directory', 'entry', 'covered', 'rename', 'directory'],
    );
    assert.deepEqual(readFileSync(fileOf(directory, over!)), age);
    for (const [at, photo] of photographs.entries()) {
      const report = await verify({ directory: photo.directory, vkey });
      assert.equal(report.failures, 0, `${photo.behind}: ${JSON.stringify(report.findings)}`);
      const directoryOfLog = path.join(photo.directory, 'log');
      const reopened = await Log.open({ directory: directoryOfLog, signer, clock, checkpointMs: 5 });
      await resealing(photo.directory, reopened).settle();
      await reopened.checkpoint();
      await reopened.close();
      const told = at >= photographs.findIndex(({ behind }) => behind === 'entry');
      assert.deepEqual(readFileSync(fileOf(photo.directory, over!)), told ? age : before, photo.behind);
      const { findings, counts } = await verify({ directory: photo.directory, vkey });
      const codes = findings.filter(({ session }) => session === over!.session).map(({ code }) => code);
      assert.deepEqual(codes.filter((code) => code !== 'recording-leftover'), [], photo.behind); // prettier-ignore
      assert.equal(counts.resealed, told ? 1 : 0);
    }
  } finally {
    rmSync(base, { recursive: true });
  }
});
