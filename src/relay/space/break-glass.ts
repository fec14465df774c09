/**
 * Break-glass: named people may open sessions although there is no room for their record but the reserve's. It opens
 * nothing else: who they are, what policy allows, what is held and what is recorded is as ever, and nothing goes
 * unrecorded. It ends by itself: at its time, when what was lent is used up, or when there is room again.
 *
 * Order: `break-glass.opened` is durable before anybody is let in, `break-glass.used` before the target is dialled. It
 * lives in memory: a relay that starts again has none open.
 */
import { relayActor, type EntryOf, type NewEntry } from '../../evidence/entry.ts';
import { samePrincipal, type Identity } from '../../model/principal.ts';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import { RelayError } from '../error.ts';
import type { RelayLogger } from '../logging.ts';
import type { Borrower, Room } from './room.ts';

export interface BreakGlassRequest {
  readonly reason: string;
  /** Account on this machine of whoever asks, as told. */
  readonly operator: string;
  readonly people: readonly Identity[];
  readonly forMs: number;
}

export interface BreakGlassOpened {
  readonly breakGlass: string;
  readonly expires: string;
  readonly people: readonly Identity[];
  /** Room for recordings and the log until it ends. */
  readonly bytes: number;
}

export interface BreakGlassOptions {
  readonly room: Room;
  readonly append: (entry: NewEntry) => Promise<unknown>;
  readonly clock: Clock;
  readonly logger: RelayLogger;
  /** Ends every live session; at once, whatever is waited for afterwards. */
  readonly endSessions: () => void;
}

type Outcome = EntryOf<'break-glass.ended'>['outcome'];

interface Open {
  readonly id: string;
  readonly people: readonly Identity[];
  readonly endsAtMs: number;
  readonly borrower: Borrower;
  readonly timer: NodeJS.Timeout;
  sessions: number;
}

/** What lets one session in. */
export interface BreakGlassUse {
  readonly breakGlass: string;
  /** It ends then, and so does the session. */
  readonly remainingMs: number;
}

export class BreakGlass {
  readonly #options: BreakGlassOptions;
  #open: Open | null = null;

  constructor(options: BreakGlassOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** @throws SpaceError; EvidenceError when the log does not take it: then nobody is let in */
  async open({ reason, operator, people, forMs }: BreakGlassRequest): Promise<BreakGlassOpened> {
    const { room, append, clock, logger } = this.#options;
    const id = ulid(clock.wallMs());
    const endsAtMs = clock.monotonicMs() + forMs;
    const expires = new Date(clock.wallMs() + forMs).toISOString();
    const borrower: Borrower = { end: (outcome) => this.#end(id, outcome) };
    const bytes = await room.lend(borrower);
    try {
      const asked = { reason, operator, people: [...people], expires, bytes };
      await append({ kind: 'break-glass.opened', actor: relayActor, breakGlass: id, ...asked });
    } catch (error) {
      room.takeBack(borrower);
      throw error;
    }
    // There may be room again by now.
    const timer = setTimeout(() => this.#end(id, 'expired'), forMs).unref();
    this.#open = { id, people, endsAtMs, borrower, timer, sessions: 0 };
    if (room.open) this.#end(id, 'space-back');
    logger.error('break-glass opened', { reason: 'no room for the record', count: people.length, bytes });
    return { breakGlass: id, expires, people, bytes };
  }

  /**
   * Whether this principal may open a session now, as far as room for its record goes.
   * @returns null: there is room for everybody
   * @throws RelayError `evidence-unavailable`
   */
  admit(principal: Identity): BreakGlassUse | null {
    if (this.#options.room.open) return null;
    const open = this.#open;
    const remainingMs = open === null ? 0 : open.endsAtMs - this.#options.clock.monotonicMs();
    if (open !== null && remainingMs > 0 && open.people.some((each) => samePrincipal(each, principal)))
      return { breakGlass: open.id, remainingMs };
    throw new RelayError('evidence-unavailable', 'The relay has no room to record, so it opens no session.', {
      hint: 'it goes on by itself once an operator has made room; until then an operator can let you in: hoop relay break-glass',
    });
  }

  /** A session was opened by it. */
  used({ breakGlass }: BreakGlassUse): void {
    if (this.#open?.id === breakGlass) this.#open.sessions += 1;
    this.#options.logger.error('break-glass used', { count: this.#open?.sessions ?? 0 });
  }

  /** The relay stops. */
  close(): void {
    if (this.#open !== null) this.#end(this.#open.id, 'relay-stopped');
  }

  #end(id: string, outcome: Outcome): void {
    const open = this.#open;
    if (open?.id !== id) return;
    const { room, logger, endSessions } = this.#options;
    this.#open = null;
    clearTimeout(open.timer);
    logger.warn('break-glass ended', { reason: outcome, count: open.sessions });
    if (outcome !== 'space-back') endSessions();
    room.takeBack(open.borrower);
    void this.#tell({ breakGlass: id, outcome, sessions: open.sessions });
  }

  /** A log that does not take it now takes it later; the process may stop first, and its next start has none open. */
  async #tell(
    ended: Pick<EntryOf<'break-glass.ended'>, 'breakGlass' | 'outcome' | 'sessions'>,
  ): Promise<void> {
    for (;;) {
      try {
        await this.#options.append({ kind: 'break-glass.ended', actor: relayActor, ...ended });
        return;
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'log-closed') return;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }
}
