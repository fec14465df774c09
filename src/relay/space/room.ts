/**
 * Room for the record: watched, told, and held back. What happens as it runs short:
 *
 *   enough → low → critical   told: log, metrics, `storage.low`; nothing else changes
 *   → full                    no session opens, live ones end, the log takes only what closes things; parts of the reserve
 *                             are given back, one after another, as far as these closing entries and segments need them
 *   → enough (or low, …)      the reserve is made whole first; then `storage.recovered`, and sessions open again
 *
 * Full is: a write found no room, or there is less than an eighth of the reserve. The last quarter of the reserve is never
 * lent (`break-glass.ts`), so that whatever was lent can be closed too.
 */
import { relayActor, type EntryKind, type NewEntry } from '../../evidence/entry.ts';
import { EvidenceError } from '../../evidence/error.ts';
import { isOutOfSpace, type Reserve } from '../../evidence/space/reserve.ts';
import type { Clock } from '../../system/clock.ts';
import type { RelayLogger } from '../logging.ts';
import { SpaceError } from './error.ts';
import {
  fullBelow,
  leastBeyond,
  levelOf,
  type Measured,
  measureSpace,
  type SpaceLevel,
  type Threshold,
} from './measure.ts';

export interface RoomOptions {
  /** The evidence directory. */
  readonly directory: string;
  readonly warn: Threshold;
  readonly critical: Threshold;
  readonly reserve: Reserve;
  readonly clock: Clock;
  readonly logger: RelayLogger;
  /** Default `measureSpace`. */
  readonly measure?: (directory: string) => Promise<Measured>;
}

/** What the rest of the relay does about it; known once there is one. */
export interface RoomHooks {
  /** Resolves when the entry is durable. */
  readonly append: (entry: NewEntry) => Promise<unknown>;
  /** The log takes entries. */
  readonly logReady: () => boolean;
  /** Something that has ended is not recorded to its end yet. */
  readonly unsettled: () => boolean;
  /** Ends every live session; at once, whatever is waited for afterwards. */
  readonly endSessions: () => void;
}

/** Who may record although there is no room. */
export interface Borrower {
  end(outcome: 'reserve-used-up' | 'space-back'): void;
}

/** What closes things, and is taken also when there is no room. */
const closing: ReadonlySet<EntryKind> = new Set<EntryKind>([
  'segment',
  'session.closed',
  'session.killed',
  'review.ended',
  'login.ended',
  'relay.started',
  'relay.recovered',
  'storage.low',
  'storage.recovered',
  'break-glass.opened',
  'break-glass.used',
  'break-glass.ended',
  'log.key-rotated',
  // It makes room.
  'evidence.erased',
  'gap',
]);

const lookMs = 1000;
const lookWhenFullMs = 200;
/** Between attempts to make the reserve whole, since each may write all of it. */
const refillMs = 5000;
const longestRefillMs = 60_000;

export class Room {
  readonly #options: RoomOptions;
  readonly #reserve: Reserve;
  #hooks: RoomHooks | null = null;
  #level: SpaceLevel = 'enough';
  #told: SpaceLevel = 'enough';
  #measured: Measured = { availableBytes: 0, totalBytes: 0 };
  /** A write found no room since a part of the reserve was given back. */
  #starved = false;
  #refill = { notBeforeMs: -Infinity, pauseMs: refillMs };
  #refused = { count: 0, from: '' };
  #borrower: Borrower | null = null;
  #turns: Promise<unknown> = Promise.resolve();
  #looking: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.#reserve = options.reserve;
  }

  get level(): SpaceLevel {
    return this.#level;
  }

  /** As last measured. */
  get availableBytes(): number {
    return this.#measured.availableBytes;
  }

  get reserveBytes(): number {
    return this.#reserve.heldBytes;
  }

  /** Sessions may open for everybody. */
  get open(): boolean {
    return this.#level !== 'full';
  }

  /** Less is full. */
  get #floorBytes(): number {
    return fullBelow(this.#reserve.wantedBytes);
  }

  /** What is given back at a time, and the part that is never lent. */
  get #sliceBytes(): number {
    return Math.ceil(this.#reserve.wantedBytes / 4);
  }

  /**
   * From now on what happens is told, and acted on.
   * @param hooks of a relay whose log is open
   */
  watch(hooks: RoomHooks): void {
    this.#hooks = hooks;
    if (this.#level === 'full') hooks.endSessions();
    void this.look();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /**
   * Before an entry goes to the log.
   * @throws EvidenceError `log-write-failed` when it is none of those that room is kept for
   */
  admitEntry(kind: EntryKind): void {
    if (this.open || this.#borrower !== null || closing.has(kind)) return;
    if (this.#refused.count === 0) this.#refused.from = this.#now();
    this.#refused.count += 1;
    throw new EvidenceError('log-write-failed', 'there is no room left for the record', {
      hint: 'free space where the evidence is stored; the relay goes on by itself',
    });
  }

  /** Something could not be written; does nothing when it was not for want of room. */
  writeFailed(error: unknown): void {
    if (!isOutOfSpace(error)) return;
    this.#starved = true;
    if (this.#level !== 'full') this.#becomeFull();
    else this.#borrower?.end('reserve-used-up');
    void this.look();
  }

  /** Gives back a little of the reserve, for a start that finds no room. False: nothing is left of it. */
  giveBack(): boolean {
    this.#level = 'full';
    return this.#reserve.release(Math.ceil(this.#floorBytes / 2)) > 0;
  }

  /**
   * Lends all of the reserve but its last quarter, until `takeBack`.
   * @returns how much that is
   * @throws SpaceError
   */
  lend(borrower: Borrower): Promise<number> {
    return this.#inTurn(async () => {
      if (this.open)
        throw new SpaceError('space-not-full', 'there is room for the record: sessions open as ever');
      if (this.#borrower !== null) throw new SpaceError('break-glass-open', 'it is open already');
      const lent = this.#reserve.heldBytes - this.#sliceBytes;
      if (lent < this.#floorBytes)
        throw new SpaceError('reserve-used-up', 'the reserve is used up but for what closes sessions', {
          hint: 'free space where the evidence is stored; the relay goes on by itself',
        });
      this.#reserve.release(lent);
      this.#starved = false;
      this.#borrower = borrower;
      return lent;
    });
  }

  takeBack(borrower: Borrower): void {
    if (this.#borrower === borrower) this.#borrower = null;
    void this.look();
  }

  /** Measures, acts, and tells. Calls that come while one runs share it. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#inTurn(() => this.#look())
      .catch((error: unknown) => this.#options.logger.error('space not measured', {}, error))
      .finally(() => {
        this.#looking = null;
        this.#lookAgain();
      });
    return this.#looking;
  }

  #lookAgain(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#closed || this.#hooks === null) return;
    const ms = this.#level === 'full' ? lookWhenFullMs : lookMs;
    this.#timer = setTimeout(() => void this.look(), ms).unref();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.then(work);
    this.#turns = turn.catch(() => undefined);
    return turn;
  }

  async #look(): Promise<void> {
    this.#measured = await (this.#options.measure ?? measureSpace)(this.#options.directory);
    const { availableBytes } = this.#measured;
    // The reserve is whole before anything else is given room.
    if (this.#reserve.missingBytes > 0 || this.#level === 'full') await this.#makeWhole();
    else if (availableBytes < this.#floorBytes) this.#becomeFull();
    else this.#becomes(levelOf(this.#measured, this.#options, this.#level));
    await this.#tell();
  }

  async #makeWhole(): Promise<void> {
    const { availableBytes } = this.#measured;
    const beyondBytes = leastBeyond(this.#reserve.wantedBytes);
    const nowMs = this.#options.clock.monotonicMs();
    if (availableBytes >= this.#reserve.missingBytes + beyondBytes && nowMs >= this.#refill.notBeforeMs) {
      if (await this.#reserve.refill(beyondBytes)) return this.#recovered();
      const { pauseMs } = this.#refill;
      this.#refill = {
        notBeforeMs: nowMs + pauseMs,
        pauseMs: Math.min(2 * pauseMs, longestRefillMs),
      };
    }
    if (this.#level !== 'full') this.#becomeFull();
    if (this.#borrower !== null) {
      if (availableBytes < this.#floorBytes) this.#borrower.end('reserve-used-up');
    } else if (
      (this.#starved || availableBytes < this.#floorBytes / 4) &&
      this.#hooks?.unsettled() === true
    ) {
      this.#giveSlice();
    }
  }

  #giveSlice(): void {
    this.#reserve.release(this.#sliceBytes);
    this.#starved = false;
  }

  #becomeFull(): void {
    this.#becomes('full');
    // What sessions say at their end has to be recorded before it is delivered.
    if (this.#starved) this.#giveSlice();
    this.#hooks?.endSessions();
  }

  #recovered(): void {
    this.#starved = false;
    this.#refill = { notBeforeMs: -Infinity, pauseMs: refillMs };
    this.#becomes(levelOf(this.#measured, this.#options, 'critical'));
    this.#borrower?.end('space-back');
  }

  #becomes(level: SpaceLevel): void {
    if (level === this.#level) return;
    this.#level = level;
    const { logger } = this.#options;
    const fields = { reason: level, bytes: this.#measured.availableBytes };
    if (level === 'full') logger.error('no room for the record', fields);
    else if (level === 'enough') logger.info('room for the record again', fields);
    else logger.warn('room for the record runs short', fields);
  }

  /** What the log does not take now is told at the next look. */
  async #tell(): Promise<void> {
    const hooks = this.#hooks;
    if (hooks === null || !hooks.logReady()) return;
    const { count, from } = this.#refused;
    const level = this.#level;
    try {
      if (count > 0 && level !== 'full') {
        const about = { reason: 'disk-full', session: null, count, from, to: this.#now() };
        await hooks.append({ kind: 'gap', actor: relayActor, ...about });
        this.#refused.count -= count;
      }
      if (level === this.#told) return;
      const figures = { ...this.#measured, reserveBytes: this.#reserve.heldBytes };
      await hooks.append(
        level === 'enough'
          ? { kind: 'storage.recovered', actor: relayActor, ...figures }
          : { kind: 'storage.low', actor: relayActor, level, ...figures },
      );
      this.#told = level;
    } catch (error) {
      this.writeFailed(error);
    }
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString();
  }
}
