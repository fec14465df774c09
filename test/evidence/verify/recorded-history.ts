/** Histories of a relay through its own recorder, sealer, log and recovery; people sign what they do with real keys. */
import { hash } from 'node:crypto';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Decrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { relayActor, type EntryOf } from '../../../src/evidence/entry.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { unfinishedSessions } from '../../../src/evidence/log/read.ts';
import { encryptAge, parseRecipient } from '../../../src/evidence/recording/age.ts';
import { originalsName, sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import { SessionRecorder } from '../../../src/evidence/recording/recorder.ts';
import { recover, recoveryEntries } from '../../../src/evidence/recording/recover.ts';
import { Sealer } from '../../../src/evidence/recording/sealer.ts';
import { resolveRetention, RetentionFile } from '../../../src/relay/config/retention.ts';
import { RetentionError } from '../../../src/relay/retention/error.ts';
import { Retention } from '../../../src/relay/retention/retention.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';
import type { SessionId } from '../../../src/model/ids.ts';
import { ulid } from '../../../src/system/ulid.ts';
import { boundDigest } from '../../../src/wire/review-binding.ts';
import { EvidenceFixture, type TestLogin, type TestSession } from './fixture.ts';

/** An auditor's identity, and another's. */
export const [auditor, otherAuditor] = [await generateIdentity(), await generateIdentity()];
const auditors = [parseRecipient(await identityToRecipient(auditor))!];
const sha256 = (text: string): string => hash('sha256', text, 'hex');

/** What a file sealed to any of the auditors holds. */
export async function openAge(file: Buffer): Promise<Buffer> {
  const decrypter = new Decrypter();
  for (const identity of [auditor, otherAuditor]) decrypter.addIdentity(identity);
  return Buffer.from(await decrypter.decrypt(file));
}

/** A session that goes on. */
export interface LiveSession {
  readonly of: TestSession;
  readonly by: TestLogin;
  readonly recorder: SessionRecorder;
  commands: number;
}

export type ReviewEnd = 'approve' | 'reject' | 'expire';

export class RecordedHistory implements AsyncDisposable {
  readonly fixture: EvidenceFixture;
  readonly live: LiveSession[] = [];
  /** Those that were closed. */
  readonly over: LiveSession[] = [];
  readonly #holds: string[] = [];
  #sealer: Sealer;
  /** Of the log, now. */
  #signer: NoteSigner;

  private constructor(fixture: EvidenceFixture) {
    this.fixture = fixture;
    this.#signer = fixture.signer;
    this.#sealer = this.#openSealer();
  }

  static async create(): Promise<RecordedHistory> {
    return new RecordedHistory(await EvidenceFixture.create());
  }

  #openSealer(): Sealer {
    return new Sealer({ append: (entry) => this.fixture.log.append(entry), calmMs: 1 });
  }

  async open(by: TestLogin): Promise<LiveSession> {
    const { fixture } = this;
    const of = await fixture.open(by);
    const recorder = new SessionRecorder({
      directory: fixture.directory,
      session: of.session as SessionId,
      protocol: 'postgres',
      openedAtMs: of.openedAtMs,
      clock: fixture.clock,
      durability: 'process',
      sealer: this.#sealer,
      originals: auditors,
      // A recorder that a crash left behind finds its sealer closed.
      onFailure: () => undefined,
    });
    recorder.connectionOpened(1, { parameters: { user: 'app' }, serverVersion: '15.18' });
    recorder.flush();
    const session = { of, by, recorder, commands: 0 };
    this.live.push(session);
    return session;
  }

  /** @param masked a value of its answer was masked */
  command(
    session: LiveSession,
    text: string,
    { rowBytes = 20, masked = false, review = null as string | null } = {},
  ): void {
    const { recorder } = session;
    const number = ++session.commands;
    recorder.command(1, number, Buffer.from(text), null, 'allow', unknownFacts, review);
    const place = { row: 0, column: 0, offset: 0, length: 8 };
    if (masked) recorder.redaction(1, number, 'words', place, Buffer.from('original'));
    recorder.output(1, number, Buffer.alloc(rowBytes, 'row '));
    recorder.outcome(1, number, { kind: 'succeeded', tag: 'SELECT 1', rows: 1, errorCode: null });
    recorder.flush();
  }

  /** A command that people are asked about. */
  async review(session: LiveSession, text: string, end: ReviewEnd, reviewer: TestLogin): Promise<void> {
    const { fixture } = this;
    const { of, by, recorder } = session;
    const [review, expires] = [
      ulid(fixture.clock.wallMs()),
      new Date(fixture.clock.ms + 600_000).toISOString(),
    ];
    const { issuer, subject } = by.actor;
    const number = session.commands + 1;
    const bound = {
      review,
      issuer,
      subject,
      target: 'db-prod',
      session: of.session,
      connection: 1,
      command: number,
    };
    const digest = boundDigest({ ...bound, text: sha256(text), parameters: null, expires });
    const about = { review, session: of.session };
    const held = { connection: 1, command: number, digest: sha256(text), text, policies: ['p'] };
    await fixture.log.append({ kind: 'command.held', actor: by.actor, ...about, ...held });
    await fixture.log.append({
      kind: 'review.requested',
      actor: by.actor,
      ...about,
      digest,
      effects: ['delete'],
      parametersDigest: null,
      needed: [{ group: 'dba-leads', count: 1 }],
      expires,
    });
    if (end === 'expire') {
      fixture.clock.ms += 700_000;
      await fixture.log.append({
        kind: 'review.ended',
        actor: relayActor,
        ...about,
        outcome: 'expired',
        reason: 'expired',
      });
    } else {
      const says = { decision: end, digest, reason: 'seen' };
      await fixture.log.append({
        kind: 'review.decided',
        actor: reviewer.actor,
        ...about,
        login: reviewer.login,
        ...says,
        groups: ['dba-leads'],
        outcome: end === 'approve' ? 'approved' : 'rejected',
        request: reviewer.sign({ action: 'review.decide', review, ...says }),
      });
    }
    if (end === 'approve') return this.command(session, text, { review });
    session.commands++;
    recorder.command(1, number, Buffer.from(text), null, 'deny', unknownFacts, review);
    recorder.outcome(1, number, { kind: 'blocked', tag: null, rows: 0, errorCode: '42501' });
    recorder.flush();
  }

  async close(session: LiveSession, outcome: EntryOf<'session.closed'>['outcome'] = 'ended'): Promise<void> {
    this.live.splice(this.live.indexOf(session), 1);
    this.over.push(session);
    session.recorder.connectionClosed(1, 'terminated');
    const closing = session.recorder.close();
    await this.#sealer.drain();
    const { lastSegmentIndex: lastSegment, totals } = await closing;
    await this.fixture.end(session.of, { outcome, lastSegment, totals });
  }

  async kill(session: LiveSession, by: TestLogin): Promise<void> {
    await this.fixture.kill(session.of, by);
    await this.close(session, 'killed');
  }

  /** An auditor seals the originals of a segment to the other one alone. */
  async reseal({ session, openedAtMs }: TestSession, segment: number, by: TestLogin): Promise<void> {
    const directory = sessionDirectory(this.fixture.directory, openedAtMs, session);
    const file = path.join(directory, originalsName(segment));
    const before = await readFile(file);
    const content = await openAge(before);
    const recipients = [await identityToRecipient(otherAuditor)];
    const after = encryptAge([parseRecipient(recipients[0]!)!], content);
    const [from, to] = [before, after].map((bytes) => hash('sha256', bytes, 'hex')) as [string, string];
    const said = { session, segment, from, to, recipients };
    await this.fixture.log.append({
      kind: 'originals.resealed',
      actor: by.actor,
      ...said,
      login: by.login,
      request: by.sign({ action: 'originals.reseal', ...said }),
    });
    await writeFile(file, after);
  }

  /** What an operator does beside a relay; what it refuses does not happen. */
  async keep(what: 'hold' | 'release' | 'erase' | 'erase originals', { of }: LiveSession): Promise<void> {
    const { log, directory, clock } = this.fixture;
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const rules = resolveRetention(RetentionFile.parse({}));
    const retention = new Retention({
      directory,
      rules,
      append: (entry) => log.append(entry),
      log,
      clock,
      logger,
    });
    const [scope, operator] = [{ session: of.session }, { account: 'root', reason: 'case 7' }];
    try {
      if (what === 'hold') this.#holds.push((await retention.placeHold(scope, operator)).hold);
      else if (what !== 'release')
        await retention.erase(scope, what === 'erase' ? 'recording' : 'originals', operator);
      else if (this.#holds.length > 0) await retention.releaseHold(this.#holds.shift()!, operator);
    } catch (error) {
      if (!(error instanceof RetentionError)) throw error;
    } finally {
      await retention.close();
    }
  }

  async rotate(): Promise<void> {
    const next = NoteSigner.generate(this.#signer.name);
    await this.fixture.log.rotate(next);
    this.#signer = next;
  }

  /**
   * The process ends in the middle of everything, and the next one recovers.
   * @param torn how much of a write that had not returned stands at the end of each open segment
   */
  async crash(torn: number): Promise<void> {
    const { fixture } = this;
    await this.#sealer.close();
    await fixture.log.close();
    for (const { of } of this.live.splice(0)) {
      const directory = sessionDirectory(fixture.directory, of.openedAtMs, of.session);
      const names = await readdir(directory).catch(() => []);
      const half = Buffer.from('85190834666f757470757401014d', 'hex').subarray(0, torn);
      for (const name of names.filter((each) => each.endsWith('.cbor')))
        await appendFile(path.join(directory, name), half);
    }
    const { directory, clock } = fixture;
    const log = await Log.open({
      directory: path.join(directory, 'log'),
      signer: this.#signer,
      clock,
      checkpointMs: 20,
    });
    fixture.log = log;
    const append = log.append.bind(log);
    const unfinished = await unfinishedSessions(path.join(directory, 'log'));
    const recovery = await recover({ directory, unfinished, append });
    for (const entry of recoveryEntries(recovery, log.recovered.bytesCut)) await append(entry);
    await fixture.start();
    this.#sealer = this.#openSealer();
  }

  /** Everything ends as it should, and the log is closed. */
  async finish(): Promise<void> {
    while (this.live.length > 0) await this.close(this.live[0]!);
    await this.#sealer.close();
    await this.fixture.log.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sealer.close();
    await this.fixture[Symbol.asyncDispose]();
  }
}
