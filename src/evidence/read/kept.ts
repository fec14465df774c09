/** What of the sessions is kept, what was erased, and what is on hold: as the log tells it, with no state beside it. */
import type { Entry, EntryOf, PersonActor } from '../entry.ts';
import type { HoldScope } from '../entries/erasure.ts';
import { isWithinTask, matchesPerson } from './filter.ts';

export type Erasable = EntryOf<'evidence.erased'>['what'];

export interface KeptSession {
  readonly session: string;
  readonly target: string;
  readonly task: string | null;
  readonly by: PersonActor;
  readonly openedAt: string;
  /** Null while it is open. */
  readonly closedAt: string | null;
  readonly segments: number;
  /** Some of its segments have sealed originals. */
  readonly sealed: boolean;
  readonly erased: ReadonlySet<Erasable>;
  /** Digests of age files that were sealed anew, by segment. */
  readonly resealed: ReadonlyMap<number, string>;
}

const none: ReadonlyMap<number, string> = new Map();
const nothing: ReadonlySet<Erasable> = new Set();

export interface Hold {
  readonly hold: string;
  readonly scope: HoldScope;
  readonly placedAt: string;
  readonly operator: EntryOf<'hold.placed'>['operator'];
}

type Tracked = { -readonly [K in keyof KeptSession]: KeptSession[K] };

/** Memory: a quarter of a kilobyte for each session of the log, since what many of them have in common is there once. */
export class Kept {
  readonly #sessions = new Map<string, Tracked>();
  /** By what they are in JSON. */
  readonly #people = new Map<string, PersonActor>();
  /** Of targets and tasks. */
  readonly #names = new Map<string, string>();
  readonly #holds = new Map<string, Hold>();

  /** Takes every entry in order. */
  take(entry: Entry): void {
    switch (entry.kind) {
      case 'session.opened': {
        const { session, time: openedAt } = entry;
        const target = once(this.#names, entry.target, entry.target);
        const task = entry.task === null ? null : once(this.#names, entry.task, entry.task);
        const by = once(this.#people, JSON.stringify(entry.actor), entry.actor);
        this.#sessions.set(session, { session, target, task, by, openedAt, closedAt: null, segments: 0, sealed: false, erased: nothing, resealed: none }); // prettier-ignore
        return;
      }
      case 'segment': {
        const session = this.#sessions.get(entry.session);
        if (session === undefined) return;
        session.segments += 1;
        session.sealed ||= entry.sealed !== null;
        return;
      }
      case 'session.closed': {
        const session = this.#sessions.get(entry.session);
        if (session !== undefined) session.closedAt = entry.time;
        return;
      }
      case 'evidence.erased': {
        const session = this.#sessions.get(entry.session);
        if (session !== undefined) session.erased = new Set(session.erased).add(entry.what);
        return;
      }
      case 'originals.resealed': {
        const session = this.#sessions.get(entry.session);
        if (session !== undefined) session.resealed = new Map(session.resealed).set(entry.segment, entry.to);
        return;
      }
      case 'hold.placed': {
        const { hold, scope, time: placedAt, operator } = entry;
        this.#holds.set(hold, { hold, scope, placedAt, operator });
        return;
      }
      case 'hold.released':
        this.#holds.delete(entry.hold);
        return;
      default:
    }
  }

  get sessions(): Iterable<KeptSession> {
    return this.#sessions.values();
  }

  session(id: string): KeptSession | undefined {
    return this.#sessions.get(id);
  }

  get holds(): readonly Hold[] {
    return [...this.#holds.values()];
  }

  /** The first hold on it; null: none. */
  heldBy(session: KeptSession): Hold | null {
    return this.holds.find(({ scope }) => isInScope(scope, session)) ?? null;
  }
}

function once<T>(known: Map<string, T>, key: string, value: T): T {
  const before = known.get(key);
  if (before !== undefined) return before;
  known.set(key, value);
  return value;
}

export function isInScope(
  scope: HoldScope,
  { session, target, task, by, openedAt, closedAt }: KeptSession,
): boolean {
  return (
    (scope.session === undefined || scope.session === session) &&
    (scope.target === undefined || scope.target === target) &&
    (scope.task === undefined || isWithinTask(task, scope.task)) &&
    matchesPerson({ person: scope.person }, by) &&
    (scope.from === undefined || closedAt === null || closedAt >= scope.from) &&
    (scope.to === undefined || openedAt < scope.to)
  );
}
