/**
 * When the log's checkpoints are made, and by which key: one publication after another, each once its key has signed. What
 * a step leaves when the process ends at it is said in publication.ts and handover.ts.
 */
import { relayActor, type UnstampedEntry } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { writeFailed } from './failure.ts';
import { signPossession } from './handover.ts';
import type { History, PendingHandover } from './history.ts';
import type { Appended, LogOptions } from './log.ts';
import { formatNote, parseNote, type CheckpointSigner, type NoteSignature } from './note.ts';
import type { Publisher, Snapshot } from './publication.ts';
import { refuseRotation } from './rotation.ts';
import type { Signing } from './signing.ts';

type CheckpointsOptions = Required<Pick<LogOptions, 'directory' | 'files' | 'checkpointMs' | 'retryMs'>> &
  Pick<LogOptions, 'onPublished' | 'onUnsigned'> & {
    readonly history: History;
    readonly signing: Signing;
    readonly publisher: Publisher;
    /** A write failed. */
    fail(error: unknown): void;
    /** Fails the log when the work takes too long, and goes on waiting for it. */
    bounded(work: Promise<void>): Promise<void>;
    /** False while entries are refused. */
    ready(): boolean;
    /** More is published than before. */
    published(): void;
  };

export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #turns: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #settled = false;
  #waitingSinceMs: number | null = null;
  readonly #awaited = new Set<{ readonly size: number; readonly resolve: () => void }>();
  /** The tree has a hand-over that the old key has not signed yet. */
  handover: PendingHandover | null = null;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    if (options.history.size > options.history.published) this.#waits();
  }

  get signer(): CheckpointSigner {
    return this.#options.signing.signer;
  }

  /** On disk, cosignatures included. */
  get note(): string {
    return this.#options.signing.note;
  }

  /** How long the oldest entry that no checkpoint names has waited. */
  get lagMs(): number {
    return this.#waitingSinceMs === null ? 0 : performance.now() - this.#waitingSinceMs;
  }

  /** Publishes everything that is acknowledged by now. @throws EvidenceError `log-write-failed`, `log-signing-failed` */
  next(): Promise<void> {
    // One that has not begun serves all who ask: a slow key makes no queue.
    this.#next ??= this.inTurn(() => {
      this.#next = null;
      return this.publish();
    });
    return this.#next;
  }

  /** Resolves when what is acknowledged by now is published. Hurries nothing: it may be long, or never. */
  covered(signal: AbortSignal): Promise<void> {
    const { size, published } = this.#options.history;
    if (size === published || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const awaited = { size, resolve };
      this.#awaited.add(awaited);
      signal.addEventListener('abort', () => {
        this.#awaited.delete(awaited);
        resolve();
      });
    });
  }

  /** Publications, and what else must not meet one. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.then(work);
    this.#turns = turn.catch(() => undefined);
    return turn;
  }

  /** Something is new. */
  soon(): void {
    this.#waits();
    if (this.#timer !== null || this.#settled) return;
    const { checkpointMs, retryMs, signing } = this.#options;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        if (this.#options.ready()) this.next().catch(() => undefined); // told by `fail` or `onUnsigned`
      },
      Math.max(checkpointMs, signing.pauseMs(retryMs)),
    ).unref();
  }

  /** No publication by itself any more; resolves when none is under way. */
  async settle(): Promise<void> {
    this.#settled = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#turns;
  }

  /** In a turn. @throws EvidenceError `log-write-failed`, `log-signing-failed` */
  async publish(): Promise<void> {
    const { history, signing, publisher } = this.#options;
    if (this.handover !== null) await this.#publishHandover(this.handover);
    if (history.size === history.published && !signing.renew) return;
    const snapshot = history.snapshot();
    const signed = await this.#sign(snapshot);
    await this.#write(snapshot, () => publisher.publish(snapshot, signed));
    signing.published(signed);
    const more = history.size > history.published;
    this.#waitingSinceMs = null;
    for (const awaited of this.#awaited)
      if (awaited.size <= snapshot.size) {
        this.#awaited.delete(awaited);
        awaited.resolve();
      }
    this.#options.onPublished?.({ size: snapshot.size, note: signed });
    if (this.#options.ready()) this.#options.published();
    if (more) this.soon();
  }

  rotate(next: CheckpointSigner, append: (entry: UnstampedEntry) => Promise<Appended>): Promise<Appended> {
    return this.inTurn(async () => {
      const from = this.signer.verifier;
      await refuseRotation(this.#options, from, next.verifier);
      await this.publish();
      // Both keys show that they sign before the entry is written that needs both.
      await this.#sign(this.#options.history.snapshot());
      const possession = await signPossession(from, next).catch((cause: unknown) => {
        throw new EvidenceError('log-signing-failed', 'the new key does not sign', { cause });
      });
      const keys = { from: from.toString(), to: next.verifier.toString() };
      const appended = await append({ kind: 'log.key-rotated', actor: relayActor, ...keys, possession });
      await this.publish();
      return appended;
    });
  }

  addCosignatures(text: string, lines: readonly NoteSignature[]): Promise<boolean> {
    return this.inTurn(async () => {
      const note = parseNote(Buffer.from(this.note));
      if (note.text !== text || this.#settled) return false;
      const others = note.signatures.filter(
        (line) => !lines.some(({ name, keyId }) => line.name === name && line.keyId === keyId),
      );
      const signed = formatNote({ text, signatures: [...others, ...lines] });
      await this.#options.publisher.writeCheckpoint(signed);
      this.#options.signing.note = signed;
      return true;
    });
  }

  #waits(): void {
    this.#waitingSinceMs ??= performance.now();
  }

  async #publishHandover({ snapshot, next, leaf }: PendingHandover): Promise<void> {
    const { publisher, signing } = this.#options;
    const { verifier: from } = this.signer;
    const signed = await this.#sign(snapshot);
    await this.#write(snapshot, () => publisher.publishHandover(snapshot, signed, { from, leaf }));
    this.handover = null;
    signing.handedOver(next, signed);
  }

  async #sign({ size, root }: Snapshot): Promise<string> {
    try {
      return await this.#options.signing.sign({ size, root });
    } catch (cause) {
      const error = new EvidenceError('log-signing-failed', 'the log’s key does not sign', {
        cause,
        hint: 'entries are kept and the relay goes on by itself once it signs; look at what holds the key',
      });
      this.#options.onUnsigned?.(error);
      if (this.#options.ready()) this.soon();
      throw error;
    }
  }

  async #write(snapshot: Snapshot, write: () => Promise<void>): Promise<void> {
    const { history, publisher, bounded, fail } = this.#options;
    try {
      await bounded(write());
      history.markPublished(snapshot);
      await bounded(publisher.removePartials(snapshot));
    } catch (error) {
      fail(error);
      throw writeFailed(error);
    }
  }
}
