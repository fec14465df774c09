/**
 * Sessions as the log tells them: opened once, segments consecutive from 0, closed with totals that add up. A session
 * without an end is unfinished while its relay may live, and a failure once the log shows that the relay started again:
 * recovery closes what the run before left open, and only then is `relay.started` written.
 */
import type { Entry, EntryOf, PersonActor, SessionTotals } from '../entry.ts';
import type { Findings } from './finding.ts';

interface OpenSession {
  readonly openedAtMs: number;
  readonly owner: SessionOwner;
  /** Place of `session.opened` in the log. */
  readonly index: number;
  nextSegment: number;
  totals: SessionTotals;
  /** The relay has started again since. */
  abandoned: boolean;
}

/** Who opened a session, and where to. */
export interface SessionOwner {
  readonly issuer: string;
  readonly subject: string;
  /** The person on whose behalf an agent opened it. */
  readonly actsFor: PersonActor['actsFor'];
  readonly target: string;
}

/** What is on disk for a session that the log names. */
export interface SessionExtent {
  /** Segments in the log. */
  readonly segments: number;
  /** Its date is in the recording's path. */
  readonly openedAtMs: number;
  /** Its recording may be growing. */
  readonly open: boolean;
}

const sums = ['segments', 'commands', 'bytes', 'rawBytes', 'redactions'] as const;

/** Memory: about 200 bytes for each session of the log, and more for those that are open at one time. */
export class Sessions {
  readonly #open = new Map<string, OpenSession>();
  readonly #finished = new Map<string, SessionExtent>();
  readonly #findings: Findings;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  get count(): number {
    return this.#open.size + this.#finished.size;
  }

  started(): void {
    for (const session of this.#open.values()) session.abandoned = true;
  }

  opened({ session, time, actor, target }: EntryOf<'session.opened'>, index: number): void {
    if (this.#open.has(session) || this.#finished.has(session)) {
      this.#findings.failure('session-reopened', `session ${session} was opened before`, { index, session });
      return;
    }
    const totals = { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 };
    this.#open.set(session, {
      openedAtMs: Date.parse(time),
      owner: { issuer: actor.issuer, subject: actor.subject, actsFor: actor.actsFor, target },
      index,
      nextSegment: 0,
      totals,
      abandoned: false,
    });
  }

  /** @returns when the session was opened, which its path holds; null when it is not open */
  segment(entry: EntryOf<'segment'>, index: number): number | null {
    const session = this.#open.get(entry.session);
    if (session === undefined) {
      this.#unknown(entry, index);
      return null;
    }
    if (entry.index !== session.nextSegment) {
      const message = `segment ${entry.index} of session ${entry.session} follows ${session.nextSegment} segments`;
      const place = { index, session: entry.session, segment: session.nextSegment };
      this.#findings.failure('segment-out-of-order', message, place);
    }
    session.nextSegment = entry.index + 1;
    const { totals } = session;
    session.totals = {
      segments: totals.segments + 1,
      commands: totals.commands + entry.commands,
      bytes: totals.bytes + entry.bytes,
      rawBytes: totals.rawBytes + entry.rawBytes,
      redactions: totals.redactions + entry.redactions,
    };
    return session.openedAtMs;
  }

  closed(entry: EntryOf<'session.closed'>, index: number): void {
    const session = this.#open.get(entry.session);
    if (session === undefined) {
      this.#unknown(entry, index);
      return;
    }
    if (session.abandoned) {
      const message = `session ${entry.session} was closed after the relay had started again`;
      this.#findings.failure('session-closed-late', message, { index, session: entry.session });
    }
    const last = session.nextSegment === 0 ? null : session.nextSegment - 1;
    const wrong = sums.filter((sum) => entry.totals[sum] !== session.totals[sum]);
    if (last !== entry.lastSegment || wrong.length > 0) {
      const which = [...(last === entry.lastSegment ? [] : ['last segment']), ...wrong].join(', ');
      const message = `session ${entry.session} was closed with other totals than its segments have: ${which}`;
      this.#findings.failure('session-totals-mismatch', message, { index, session: entry.session });
    }
    this.#open.delete(entry.session);
    const { nextSegment: segments, openedAtMs } = session;
    this.#finished.set(entry.session, { segments, openedAtMs, open: false });
  }

  /** An entry about a session that must have been opened before it. */
  mentioned(entry: Extract<Entry, { session: string }>, index: number): void {
    if (!this.#open.has(entry.session) && !this.#finished.has(entry.session)) this.#unknown(entry, index);
  }

  /** The log has ended: what is still open? */
  finish(): void {
    for (const [session, { index, abandoned }] of this.#open) {
      const place = { index, session };
      if (abandoned) {
        const message = `session ${session} never closed, though the relay has started again`;
        this.#findings.failure('session-never-closed', message, place);
      } else {
        this.#findings.warning(
          'session-unfinished',
          `session ${session} is open, or its end is not signed yet`,
          place,
        );
      }
    }
  }

  /** Null when the session is not open. */
  owner(session: string): SessionOwner | null {
    return this.#open.get(session)?.owner ?? null;
  }

  get unfinished(): number {
    return this.#open.size;
  }

  /** Null when the log does not name the session. */
  extent(session: string): SessionExtent | null {
    const open = this.#open.get(session);
    if (open === undefined) return this.#finished.get(session) ?? null;
    return { segments: open.nextSegment, openedAtMs: open.openedAtMs, open: true };
  }

  #unknown(entry: Extract<Entry, { session: string }>, index: number): void {
    const message = `${entry.kind} names session ${entry.session}, which is not open there`;
    this.#findings.failure('session-unknown', message, { index, session: entry.session });
  }
}
