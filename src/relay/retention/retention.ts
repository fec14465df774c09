/**
 * How long recordings are kept. Once an hour, from an hour after the start on, and when an operator asks, what is too old and not
 * on hold is erased: first the entry that says so, then a signed checkpoint that covers it, then the files, then their directory
 * is synced. A relay that dies in between goes on at its next start: what the log says was erased is removed.
 */
import { rm, unlink } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { hasErrno } from '../../errors.ts';
import { relayActor, type NewEntry } from '../../evidence/entry.ts';
import type { HoldScope } from '../../evidence/entries/erasure.ts';
import type { Log } from '../../evidence/log/log.ts';
import type { OperatorAct } from '../../evidence/operator-act.ts';
import { readEntries as readLeaves } from '../../evidence/log/read.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import { isInScope, Kept, type Erasable, type Hold, type KeptSession } from '../../evidence/read/kept.ts';
import { originalsName, sessionPath } from '../../evidence/recording/layout.ts';
import type { Clock } from '../../system/clock.ts';
import { durableFiles } from '../../system/durable-file.ts';
import { ulid } from '../../system/ulid.ts';
import type { ArchiveLocks } from '../archive/archive-locks.ts';
import type { RelayLogger } from '../logging.ts';
import { erases, retainedOf, type RetentionRules } from '../config/retention.ts';
import { RetentionError } from './error.ts';

export interface RetentionOptions {
  /** The evidence directory. */
  readonly directory: string;
  readonly rules: RetentionRules;
  readonly append: (entry: NewEntry) => Promise<unknown>;
  readonly log: Pick<Log, 'covered' | 'size'>;
  /** What an archive's lock keeps cannot be erased. Default: there is no archive. */
  readonly locks?: Pick<ArchiveLocks, 'until'> | null;
  readonly clock: Clock;
  readonly logger: Pick<RelayLogger, 'info' | 'warn' | 'error'>;
}

export interface Erased {
  /** Ids of sessions of which something was erased. */
  readonly erased: readonly string[];
  /** Ids of sessions that holds protected. */
  readonly held: readonly string[];
  /** Ids of sessions that the archive's lock protected. */
  readonly locked: readonly string[];
}

const sweepMs = 3_600_000;
/** More than a clock is set by, from one sweep to the next. */
const jumpMs = 600_000;
const distrustMs = 86_400_000;
/** Without a signed checkpoint nothing is removed; a key that does not sign must not hold an operator for ever. */
const coveredMs = 30_000;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #kept = new Kept();
  readonly #stop = new AbortController();
  #next = 0;
  #seen: { readonly wallMs: number; readonly monotonicMs: number } | null = null;
  #distrustedUntilMs = -Infinity;
  /** Removed by this process, or found to be gone. */
  readonly #gone = new Set<string>();
  #turns: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Removes what the run before told and did not; from then on erases every hour what is too old. */
  start(): void {
    const failed = (error: unknown): void => this.#options.logger.error('retention failed', {}, error);
    const first = async (): Promise<void> => {
      if (await this.#isNeeded()) await this.settle();
    };
    const sweep = async (): Promise<void> => {
      if (await this.#isNeeded()) await this.sweep();
    };
    this.#timer = setInterval(() => void sweep().catch(failed), sweepMs).unref();
    this.#clockJumped();
    void first().catch(failed);
  }

  /** A relay that keeps everything reads nothing of its log for it, but whether something was erased on request. */
  async #isNeeded(): Promise<boolean> {
    const { directory, rules } = this.#options;
    if (this.#next > 0 || erases(rules)) return true;
    const erased = Buffer.from('"kind":"evidence.erased"');
    for await (const { bytes } of readLeaves(path.join(directory, 'log')))
      if (bytes.includes(erased)) return true;
    return false;
  }

  /** Resolves when nothing is under way. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#stop.abort();
    await this.#turns.catch(() => undefined);
  }

  /** Removes what the log says was erased. */
  settle(): Promise<void> {
    return this.#inTurn(() => this.#removeErased());
  }

  /** Erases what the rules no longer keep. */
  sweep(): Promise<Erased> {
    return this.#inTurn(async () => {
      await this.#removeErased();
      if (this.#clockJumped()) return { erased: [], held: [], locked: [] };
      const now = this.#options.clock.wallMs();
      const due = [...this.#kept.sessions].flatMap((session) => {
        const what = this.#due(session, now);
        return what === null ? [] : [[session, what] as const];
      });
      return this.#erase(due, { cause: 'retention' });
    });
  }

  /**
   * A wall clock that went ahead of the other one would make everything old at once. Nothing is erased by age for a day then:
   * time to set it right, or to place holds.
   */
  #clockJumped(): boolean {
    const { clock, logger } = this.#options;
    const [wallMs, monotonicMs] = [clock.wallMs(), clock.monotonicMs()];
    const last = this.#seen ?? { wallMs, monotonicMs };
    this.#seen = { wallMs, monotonicMs };
    const aheadMs = wallMs - last.wallMs - (monotonicMs - last.monotonicMs);
    if (aheadMs > jumpMs) {
      this.#distrustedUntilMs = monotonicMs + distrustMs;
      logger.warn('clock went ahead', {
        reason: 'nothing is erased by age for a day',
        ms: Math.round(aheadMs),
      });
    }
    return monotonicMs < this.#distrustedUntilMs;
  }

  /**
   * @param scope which sessions; those that are open are left out
   * @throws RetentionError `evidence-held` when holds protect all of them, or the archive's lock `evidence-locked`;
   * `erasure-impossible` when there are none; ArchiveError
   */
  erase(scope: HoldScope, what: Erasable, operator: OperatorAct): Promise<Erased> {
    return this.#inTurn(async () => {
      const chosen = [...this.#kept.sessions].filter(
        (session) =>
          session.closedAt !== null &&
          isInScope(scope, session) &&
          !session.erased.has('recording') &&
          !session.erased.has(what) &&
          (what === 'recording' ? session.segments > 0 : session.sealed),
      );
      if (chosen.length === 0)
        throw new RetentionError('erasure-impossible', 'there is nothing of a closed session to erase');
      const done = await this.#erase(
        chosen.map((session) => [session, what] as const),
        { cause: 'request', operator },
      );
      if (done.erased.length === 0 && done.locked.length > 0) throw locked(done.locked.length);
      if (done.erased.length === 0)
        throw new RetentionError(
          'evidence-held',
          `holds protect it: ${this.#kept.heldBy(chosen[0]!)!.hold}`,
          {
            hint: 'see: hoop relay hold list',
          },
        );
      return done;
    });
  }

  placeHold(scope: HoldScope, operator: OperatorAct): Promise<Hold> {
    return this.#inTurn(async () => {
      const hold = ulid(this.#options.clock.wallMs());
      await this.#options.append({ kind: 'hold.placed', actor: relayActor, hold, scope, operator });
      await this.#catchUp();
      return this.#kept.holds.find((placed) => placed.hold === hold)!;
    });
  }

  /** @throws RetentionError `hold-unknown` */
  releaseHold(hold: string, operator: OperatorAct): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#kept.holds.some((placed) => placed.hold === hold))
        throw new RetentionError('hold-unknown', `there is no hold ${hold}`, {
          hint: 'see: hoop relay hold list',
        });
      await this.#options.append({ kind: 'hold.released', actor: relayActor, hold, operator });
    });
  }

  /** As the log tells it now; null: it names no such session. Whoever reads does not wait for an erasure that is under way. */
  async session(id: string): Promise<KeptSession | null> {
    this.#stop.signal.throwIfAborted();
    await this.#catchUp();
    return this.#kept.session(id) ?? null;
  }

  /**
   * Nothing is erased while `work` goes on.
   * @param work gets the session and the hold that is on it; null for a session that the log does not name
   */
  undisturbed<T>(
    id: string,
    work: (session: KeptSession | null, hold: Hold | null) => Promise<T>,
  ): Promise<T> {
    return this.#inTurn(() => {
      const session = this.#kept.session(id) ?? null;
      return work(session, session && this.#kept.heldBy(session));
    });
  }

  /** One after another, each with the log as it is then. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turns.then(async () => {
      this.#stop.signal.throwIfAborted();
      await this.#catchUp();
      return work();
    });
    this.#turns = done.catch(() => undefined);
    return done;
  }

  #catchUp(): Promise<void> {
    const done = this.#reading.then(() => this.#readOn());
    this.#reading = done.catch(() => undefined);
    return done;
  }

  /** What is not acknowledged yet may never be. */
  async #readOn(): Promise<void> {
    const { directory, log } = this.#options;
    const { size } = log;
    if (this.#next >= size) return;
    for await (const { index, entry } of readEntries(directory, this.#next)) {
      if (index >= size) return;
      this.#kept.take(entry);
      this.#next = index + 1;
    }
  }

  #due(session: KeptSession, nowMs: number): Erasable | null {
    const { target, closedAt, segments, sealed, erased } = session;
    if (closedAt === null || erased.has('recording')) return null;
    const { recordingsMs, originalsMs } = retainedOf(this.#options.rules, target);
    const ageMs = nowMs - Date.parse(closedAt);
    if (recordingsMs !== null && ageMs >= recordingsMs && segments > 0) return 'recording';
    if (originalsMs !== null && ageMs >= originalsMs && sealed && !erased.has('originals'))
      return 'originals';
    return null;
  }

  async #erase(
    due: readonly (readonly [KeptSession, Erasable])[],
    why: { readonly cause: 'retention' } | { readonly cause: 'request'; readonly operator: OperatorAct },
  ): Promise<Erased> {
    const held = due
      .filter(([session]) => this.#kept.heldBy(session) !== null)
      .map(([{ session }]) => session);
    const locked: string[] = [];
    const going: (typeof due)[number][] = [];
    for (const one of due) {
      const [session, what] = one;
      if (held.includes(session.session)) continue;
      if (await this.#isLocked(session, what)) locked.push(session.session);
      else going.push(one);
    }
    const told: KeptSession[] = [];
    for (const [session, what] of going) {
      if (this.#stop.signal.aborted) break;
      const entry = {
        kind: 'evidence.erased',
        actor: relayActor,
        session: session.session,
        what,
        ...why,
      } as const;
      await this.#options.append(entry);
      told.push(session);
    }
    if (told.length > 0) {
      await this.#catchUp();
      const late = AbortSignal.timeout(coveredMs);
      await this.#options.log.covered(AbortSignal.any([late, this.#stop.signal]));
      // What nobody signed yet goes at the next sweep.
      if (!late.aborted && !this.#stop.signal.aborted)
        for (const session of told) await this.#remove(session);
      this.#options.logger.info('evidence erased', { count: told.length, reason: why.cause });
    }
    return { erased: told.map(({ session }) => session), held, locked };
  }

  async #isLocked(session: KeptSession, what: Erasable): Promise<boolean> {
    const { locks, clock } = this.#options;
    return locks != null && (await locks.until(session, what, clock.wallMs())) !== null;
  }

  async #removeErased(): Promise<void> {
    for (const session of this.#kept.sessions) if (session.erased.size > 0) await this.#remove(session);
  }

  /** What the log says was erased. Nothing where it is gone already. */
  async #remove({ session, openedAt, segments, erased }: KeptSession): Promise<void> {
    const what = `${session} ${erased.has('recording') ? 'recording' : 'originals'}`;
    if (this.#gone.has(what)) return;
    const directory = path.join(this.#options.directory, sessionPath(Date.parse(openedAt), session));
    try {
      if (erased.has('recording')) {
        await rm(directory, { recursive: true, force: true });
        await syncThere(path.dirname(directory));
      } else {
        for (let index = 0; index < segments; index++)
          await removeThere(path.join(directory, originalsName(index)));
        await syncThere(directory);
      }
      this.#gone.add(what);
    } catch (error) {
      this.#options.logger.error('evidence not erased', { session }, error);
    }
    await turn();
  }
}

const locked = (count: number): RetentionError =>
  new RetentionError(
    'evidence-locked',
    `the archive’s lock protects what would be erased: ${count} sessions`,
    {
      hint: 'it can be erased when the lock of evidence.archive has ended',
    },
  );

async function removeThere(file: string): Promise<void> {
  await unlink(file).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
}

async function syncThere(directory: string): Promise<void> {
  await durableFiles.syncDirectory(directory).catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT')) throw error;
  });
}
