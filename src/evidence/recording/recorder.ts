/**
 * The recorder of one session. Records are encoded into one batch in memory; `flush` puts the batch into the open
 * segment's file with one write(2), and only then may anything of it be forwarded or delivered. It deliberately neither
 * compresses nor hashes segments nor touches the log: that is the sealer's, off the data path.
 *
 * Invariant: the segment's file holds whole flushes in order; its first failed write is its last. A batch stands in one
 * segment. Format: FORMAT.md.
 */
import { createHash } from 'node:crypto';
import type { RedactionPlace, RowFindings } from '../../gate/masking.ts';
import type { CommandOrigin, ConnectionInfo, Recorder, TextDigest } from '../../gate/recorder.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { SessionId } from '../../model/ids.ts';
import type { Clock } from '../../system/clock.ts';
import type { SessionTotals } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { appendConnection } from './connection-record.ts';
import { Batch } from './encode.ts';
import { appendLarge, type LargeReference } from './large-content.ts';
import { GroupSync, syncDirectory, type SyncCalls } from './group-sync.ts';
import { inlineBytes, segmentBytes, sessionDirectory } from './layout.ts';
import type { OriginalsPolicy } from './originals.ts';
import { longestOriginalBytes, placeOf, Redactions } from './redactions.ts';
import { ToldFacts } from './told-facts.ts';
import * as words from './words.ts';
import { appendOrigin, appendResize } from './terminal-records.ts';
import { appendFlushMark } from './flush-mark.ts';
import { appendHeader } from './segment-header.ts';
import { SegmentFile } from './segment-file.ts';
import type { Sealer } from './sealer.ts';

export interface RecorderOptions {
  /** The evidence directory; the recording goes to `recordings/…` under it. */
  readonly directory: string;
  readonly session: SessionId;
  /** Name of the protocol, e.g. `postgres`; says how to read `input`, `output` and parameters. */
  readonly protocol: string;
  /** Time of the `session.opened` entry, which must be durable already; its date is part of the path. */
  readonly openedAtMs: number;
  readonly clock: Clock;
  /** `process`: bytes come to disk in the background. `disk`: only `sync` brings them there; the gate calls it. */
  readonly durability: 'process' | 'disk';
  readonly sealer: Sealer;
  /** What becomes of the originals of masked values. Null, the default: none are expected, and one ends the session. */
  readonly originals?: OriginalsPolicy | null;
  /** Called once, in a microtask of its own, after the first failure; end the session. */
  readonly onFailure: (error: EvidenceError) => void;
  /** A sync that takes longer fails the recorder. Default 10 s. */
  readonly syncTimeoutMs?: number;
  /** Age at which a segment with data closes. Default 1 s. */
  readonly segmentAgeMs?: number;
  readonly syncCalls?: SyncCalls;
}

export interface ClosedRecording {
  /** Null when nothing was recorded. */
  readonly lastSegmentIndex: number | null;
  readonly totals: SessionTotals;
}

/** A prepared statement, to be told again in each segment that uses it. */
interface KnownStatement {
  readonly connection: number;
  readonly text: Buffer | LargeReference;
  readonly parameterTypes: readonly number[];
  readonly facts: CommandFacts;
  /** Last segment that tells it. */
  segment: number;
}

const defaultSyncTimeoutMs = 10_000;
const defaultSegmentAgeMs = 1000;
/** One output record holds at most this; a longer chunk becomes several. Bounds the batch. */
const outputBytes = 262_144;
/** Texts of prepared statements that are kept in memory; those beyond it stand apart, whatever their length. */
const keptTextBytes = 16 * 1024 * 1024;

export class SessionRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #directory: string;
  readonly #openedMonotonicMs: number;
  readonly #sync: GroupSync;
  readonly #batch = new Batch();
  readonly #statements = new Map<number, KnownStatement>();
  readonly #facts = new ToldFacts();
  readonly #redactions: Redactions;
  #keptTextBytes = 0;
  #segment: SegmentFile | null = null;
  /** Index of the segment that the batch goes to. */
  #index = 0;
  /** Every flush is brought to disk before anything of it is released. */
  readonly #synced: boolean;
  #t = 0;
  /** Of the open segment's header. */
  #firstT = 0;
  #batchCommands = 0;
  #blobs = 0;
  #ageTimer: NodeJS.Timeout | null = null;
  #closing: Promise<ClosedRecording> | null = null;
  #failure: EvidenceError | null = null;
  #unsealed = 0;
  #allSealed: (() => void) | null = null;
  #totals = { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 };

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#synced = options.durability === 'disk';
    this.#directory = sessionDirectory(options.directory, options.openedAtMs, options.session);
    this.#openedMonotonicMs = options.clock.monotonicMs();
    this.#redactions = new Redactions(options.originals ?? 'discard', options.session);
    this.#sync = new GroupSync({
      timeoutMs: options.syncTimeoutMs ?? defaultSyncTimeoutMs,
      onFailure: (error) => this.#fail('could not be brought to disk', error),
      ...(options.syncCalls && { calls: options.syncCalls }),
    });
  }

  connectionOpened(connection: number, info: ConnectionInfo): void {
    appendConnection(this.#begin(), this.#t, connection, info);
    this.#appended();
  }

  connectionClosed(connection: number, reason: string): void {
    const batch = this.#begin();
    batch.array(4);
    batch.uint(this.#t);
    batch.encoded(words.connectionClosed);
    batch.uint(connection);
    batch.text(reason);
    this.#appended();
  }

  statement(
    connection: number,
    statement: number,
    text: Uint8Array,
    parameterTypes: readonly number[],
    facts: CommandFacts,
  ): void {
    this.#begin();
    const apart = text.length > inlineBytes || this.#keptTextBytes + text.length > keptTextBytes;
    if (!apart) this.#keptTextBytes += text.length;
    const known = {
      connection,
      text: apart ? this.#blob(text) : Buffer.from(text),
      parameterTypes: [...parameterTypes],
      facts,
      segment: -1,
    };
    this.#statements.set(statement, known);
    this.#tell(statement, known);
    this.#appended();
  }

  statementText(statement: number): Uint8Array | TextDigest {
    const known = this.#statements.get(statement);
    if (known === undefined) throw this.#fail('was asked for a statement that it does not know');
    return known.text;
  }

  forgetStatement(statement: number): void {
    const known = this.#statements.get(statement);
    if (known !== undefined && 'length' in known.text) this.#keptTextBytes -= known.text.length;
    this.#statements.delete(statement);
  }

  command(
    connection: number,
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    verdict: 'allow' | 'deny',
    facts: CommandFacts | null,
    review: string | null,
  ): void {
    const batch = this.#begin();
    const largeText = typeof text !== 'number' && text.length > inlineBytes ? this.#blob(text) : null;
    const largeParameters =
      parameters !== null && parameters.length > inlineBytes ? this.#blob(parameters) : null;
    // Blobs may have filled the segment: the rest of the command begins in the one that is open now.
    this.#begin();
    this.#readClock();
    if (typeof text === 'number') {
      const known = this.#statements.get(text);
      if (known === undefined) throw this.#fail('was asked to refer to a statement that it does not know');
      if (known.segment !== this.#index) this.#tell(text, known);
    }
    const told = facts === null ? -1 : this.#facts.number(batch, this.#t, facts, this.#index);
    batch.array(9);
    batch.uint(this.#t);
    batch.encoded(words.command);
    batch.uint(connection);
    batch.uint(command);
    if (typeof text === 'number') batch.uint(text);
    else if (largeText !== null) appendLarge(batch, largeText);
    else batch.byteString(text);
    if (largeParameters !== null) appendLarge(batch, largeParameters);
    else if (parameters === null) batch.null();
    else batch.byteString(parameters);
    batch.encoded(verdict === 'allow' ? words.allow : words.deny);
    if (told < 0) batch.null();
    else batch.uint(told);
    batch.textOrNull(review);
    this.#batchCommands++;
    this.#appended();
  }

  redaction(
    connection: number,
    command: number,
    rule: string,
    place: RedactionPlace,
    original: Uint8Array,
  ): void {
    if (!this.#options.originals) throw this.#fail('has nobody to seal masked values to');
    for (let at = 0; at === 0 || at < original.length; at += longestOriginalBytes) {
      const whole = original.length <= longestOriginalBytes;
      const piece = whole ? original : original.subarray(at, at + longestOriginalBytes);
      const where = whole ? place : { ...place, offset: place.offset + at, length: piece.length };
      this.#redactions.add(this.#open(), this.#t, { connection, command, rule }, where, piece);
      this.#appended();
    }
  }

  rowRedactions(connection: number, command: number, found: RowFindings): void {
    if (!this.#options.originals) throw this.#fail('has nobody to seal masked values to');
    const { bytes, findings, rules } = found;
    for (let from = 0; from < findings.length;) {
      const batch = this.#open();
      const range = { from, most: segmentBytes - batch.length };
      const next = this.#redactions.addRows(batch, this.#t, { connection, command }, found, range);
      this.#appended();
      if (next === from) {
        const original = bytes.subarray(findings.starts[from], findings.ends[from]);
        const rule = rules.ruleName(findings.rules[from]!);
        this.redaction(connection, command, rule, placeOf(found, from++), original);
      } else from = next;
    }
  }

  input(connection: number, command: number, bytes: Uint8Array): void {
    this.#stream(words.input, connection, command, bytes);
  }

  output(connection: number, command: number, bytes: Uint8Array): void {
    this.#stream(words.output, connection, command, bytes);
  }

  errorOutput(connection: number, command: number, bytes: Uint8Array): void {
    this.#stream(words.errorOutput, connection, command, bytes);
  }

  resize(connection: number, command: number, columns: number, rows: number): void {
    appendResize(this.#begin(), this.#t, [connection, command, columns, rows]);
    this.#appended();
  }

  origin(connection: number, command: number, { parent, how }: CommandOrigin): void {
    appendOrigin(this.#begin(), this.#t, [connection, command, parent], how);
    this.#appended();
  }

  outcome(connection: number, command: number, outcome: Outcome): void {
    const batch = this.#begin();
    this.#readClock();
    batch.array(8);
    batch.uint(this.#t);
    batch.encoded(words.outcome);
    batch.uint(connection);
    batch.uint(command);
    batch.encoded(words.outcomes[outcome.kind]);
    batch.textOrNull(outcome.tag);
    batch.uint(outcome.rows);
    batch.textOrNull(outcome.errorCode);
    this.#appended();
  }

  flush(): void {
    if (this.#failure !== null) throw this.#failure;
    const batch = this.#batch;
    if (batch.length === 0 && !this.#redactions.pending) return;
    try {
      this.#redactions.tell(batch, this.#t);
      const originals = this.#redactions.sealInto(batch, this.#t);
      this.#segment ??= new SegmentFile(this.#directory, this.#index, this.#firstT, this.#synced);
      if (originals !== null) this.#segment.originals(originals, batch.length, this.#redactions.segmentSeal!);
      if (this.#synced) appendFlushMark(batch, this.#t);
      this.#segment.append(batch.memory, batch.length);
    } catch (cause) {
      throw this.#fail('could not be written', cause);
    }
    batch.clear();
    this.#segment.lastT = this.#t;
    this.#segment.redactions += this.#redactions.takeCount();
    this.#segment.commands += this.#batchCommands;
    this.#batchCommands = 0;
    this.#sync.wrote(this.#segment);
    if (this.#segment.length >= segmentBytes) this.#closeSegment(true);
    if (!this.#synced) this.#sync.background();
  }

  sync(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return this.#sync.sync().catch(() => {
      throw this.#failure!;
    });
  }

  /**
   * Ends the recording; resolves when every segment is sealed and committed to the log, so that `session.closed` may
   * follow. After a failure it still seals what was written. It waits as long as the disk refuses. Idempotent.
   */
  close(): Promise<ClosedRecording> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<ClosedRecording> {
    try {
      if (this.#failure === null) this.flush();
    } catch {
      // `onFailure` tells; what was written before is still sealed.
    }
    this.#closeSegment(false);
    this.#failure ??= new EvidenceError('recording-failed', 'The recording is closed.');
    this.#sync.stop();
    this.#statements.clear();
    if (this.#unsealed > 0) await new Promise<void>((resolve) => (this.#allSealed = resolve));
    // No open file may come back once the log says that the session is closed; failing, `verify` names it as left over.
    if (this.#totals.segments > 0) await syncDirectory(this.#directory).catch(() => undefined);
    return {
      lastSegmentIndex: this.#totals.segments === 0 ? null : this.#totals.segments - 1,
      totals: { ...this.#totals },
    };
  }

  /** For a record: what was masked before it stands before it. */
  #begin(): Batch {
    const batch = this.#open();
    if (this.#redactions.pending) this.#redactions.tell(batch, this.#t);
    return batch;
  }

  /** Opens a batch where none is open: reads the clock, and writes the segment's header. */
  #open(): Batch {
    if (this.#failure !== null) throw this.#failure;
    const batch = this.#batch;
    if (batch.length > 0) return batch;
    this.#readClock();
    if (this.#segment !== null) return batch;
    this.#firstT = this.#t;
    this.#redactions.begin(this.#index);
    const { session, protocol } = this.#options;
    appendHeader(batch, this.#t, { session, index: this.#index, protocol, allocated: this.#synced });
    this.#ageTimer ??= setTimeout(
      () => this.#aged(),
      this.#options.segmentAgeMs ?? defaultSegmentAgeMs,
    ).unref();
    return batch;
  }

  #readClock(): void {
    const elapsedMs = this.#options.clock.monotonicMs() - this.#openedMonotonicMs;
    this.#t = Math.max(this.#t, Math.floor(elapsedMs * 1000));
  }

  /** Keeps the batch bounded: what is over a segment's size goes to the file before the tick ends. */
  #appended(): void {
    if (this.#batch.length + this.#redactions.waitingBytes >= segmentBytes) this.flush();
  }

  #stream(kind: Buffer, connection: number, command: number, bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += outputBytes) {
      const piece =
        bytes.length <= outputBytes
          ? bytes
          : bytes.subarray(start, Math.min(start + outputBytes, bytes.length));
      const batch = this.#begin();
      batch.array(5);
      batch.uint(this.#t);
      batch.encoded(kind);
      batch.uint(connection);
      batch.uint(command);
      batch.byteString(piece);
      this.#appended();
    }
  }

  #tell(statement: number, known: KnownStatement): void {
    const batch = this.#begin();
    const facts = this.#facts.number(batch, this.#t, known.facts, this.#index);
    batch.array(7);
    batch.uint(this.#t);
    batch.encoded(words.statement);
    batch.uint(known.connection);
    batch.uint(statement);
    if ('blob' in known.text) appendLarge(batch, known.text);
    else batch.byteString(known.text);
    batch.array(known.parameterTypes.length);
    for (const type of known.parameterTypes) batch.uint(type);
    batch.uint(facts);
    known.segment = this.#index;
  }

  #blob(content: Uint8Array): LargeReference {
    const blob = ++this.#blobs;
    for (let offset = 0; offset < content.length; offset += inlineBytes) {
      const batch = this.#begin();
      batch.array(5);
      batch.uint(this.#t);
      batch.encoded(words.blob);
      batch.uint(blob);
      batch.uint(offset);
      batch.byteString(content.subarray(offset, offset + inlineBytes));
      this.#appended();
    }
    return { blob, bytes: content.length, sha256: createHash('sha256').update(content).digest() };
  }

  #aged(): void {
    this.#ageTimer = null;
    try {
      this.flush();
    } catch {
      return; // `onFailure` tells
    }
    this.#closeSegment(false);
    this.#batch.release();
    this.#redactions.release();
  }

  /** Hands the open segment to the sealer. `full`: it closes by size, a sign of load. */
  #closeSegment(full: boolean): void {
    const file = this.#segment;
    if (this.#ageTimer !== null) clearTimeout(this.#ageTimer);
    this.#ageTimer = null;
    this.#segment = null;
    if (file === null) return;
    this.#index++;
    file.finish();
    if (file.length === 0) return; // its first write failed: it says nothing, and recovery ignores it
    this.#unsealed++;
    const { session } = this.#options;
    this.#options.sealer
      .seal({
        session,
        directory: file.directory,
        index: file.index,
        length: file.length,
        full,
        ...span(file),
      })
      .then(
        ({ bytes, rawBytes }) => {
          this.#totals.segments++;
          this.#totals.commands += file.commands;
          this.#totals.bytes += bytes;
          this.#totals.rawBytes += rawBytes;
          this.#totals.redactions += file.redactions;
          if (--this.#unsealed === 0) this.#allSealed?.();
        },
        () => {
          // The sealer was closed: recovery at the next start goes on. `close` stays pending, as the record says: unfinished.
        },
      );
  }

  /** Returns the error, for `throw`. Only the first failure is told. */
  #fail(what: string, cause?: unknown): EvidenceError {
    if (this.#failure !== null) return this.#failure;
    const error = new EvidenceError(
      'recording-failed',
      `The record of this session ${what}; the session ends.`,
      {
        hint: 'See that the relay has space and a working disk for its evidence directory.',
        cause,
      },
    );
    this.#failure = error;
    this.#batch.release();
    this.#segment?.cut();
    this.#closeSegment(false);
    this.#sync.stop();
    queueMicrotask(() => this.#options.onFailure(error));
    return error;
  }
}

const span = ({ firstT, lastT, commands, redactions, sealed }: SegmentFile) => ({
  firstMicros: firstT,
  lastMicros: lastT,
  commands,
  redactions,
  sealed,
});
