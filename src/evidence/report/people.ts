/** Who used what, and how much: a row for each principal (and the person it acts for) and for each target. */
import type { EvidenceEvent } from '../read/event.ts';
import { namedKey, namedOf, type Named } from './person.ts';

export interface PersonRow {
  readonly who: Named;
  readonly signIns: number;
  readonly sessions: number;
  readonly commands: number;
  readonly failed: number;
  /** Commands that policy stopped. */
  readonly denied: number;
  /** Reviews that they asked for, and that they decided. */
  readonly reviewsAsked: number;
  readonly reviewsDecided: number;
  /** Sessions of anybody that they ended. */
  readonly kills: number;
  /** Reads of the record. */
  readonly reads: number;
  readonly targets: readonly string[];
  readonly lastAt: string;
}

export interface TargetRow {
  readonly target: string;
  readonly sessions: number;
  readonly commands: number;
  readonly failed: number;
  readonly denied: number;
  /** Commands that waited for people. */
  readonly held: number;
  readonly kills: number;
  /** Masked values. */
  readonly redactions: number;
  readonly people: number;
  readonly lastAt: string;
}

type Counted<Row> = { -readonly [K in keyof Row as Row[K] extends number ? K : never]: Row[K] };
type PersonCounts = Counted<PersonRow>;
type TargetCounts = Counted<Omit<TargetRow, 'people'>>;

interface Person extends PersonCounts {
  who: Named;
  targets: Set<string>;
  lastAt: string;
}
interface Target extends TargetCounts {
  people: Set<string>;
  lastAt: string;
}

const personCount: Readonly<Record<string, keyof PersonCounts>> = {
  login: 'signIns',
  'session.opened': 'sessions',
  command: 'commands',
  'command.blocked': 'denied',
  'review.requested': 'reviewsAsked',
  'review.decided': 'reviewsDecided',
  'session.killed': 'kills',
  'evidence.read': 'reads',
};
const targetCount: Readonly<Record<string, keyof TargetCounts>> = {
  'session.opened': 'sessions',
  command: 'commands',
  'command.blocked': 'denied',
  'command.held': 'held',
  'session.killed': 'kills',
  'session.killed-by-operator': 'kills',
};

/** Kinds whose principal uses the target; the others are about somebody else's use. */
const uses: ReadonlySet<string> = new Set(['session.opened', 'command', 'command.blocked', 'command.held']);

export class PeopleAndTargets {
  readonly #people = new Map<string, Person>();
  readonly #targets = new Map<string, Target>();

  take(event: EvidenceEvent): void {
    const { kind, principal, target, time } = event;
    const failed = kind === 'command' && event.outcome === 'failed' ? 1 : 0;
    const used = uses.has(kind) ? target : null;
    let key = null;
    if (principal !== null) {
      const who = namedOf(principal);
      key = namedKey(who);
      const person = this.#person(key, who);
      const count = personCount[kind];
      if (count !== undefined) person[count]++;
      person.failed += failed;
      person.lastAt = time;
      if (used !== null) person.targets.add(used);
    }
    if (target === null) return;
    const row = this.#target(target);
    const count = targetCount[kind];
    if (count !== undefined) row[count]++;
    if (kind === 'command') row.redactions += event.redactions ?? 0;
    row.failed += failed;
    row.lastAt = time;
    if (used !== null && key !== null) row.people.add(key);
  }

  people(): PersonRow[] {
    const rows: PersonRow[] = [];
    for (const row of this.#people.values()) rows.push({ ...row, targets: [...row.targets] });
    return rows.toSorted((a, b) => b.commands - a.commands);
  }

  targets(): TargetRow[] {
    const rows: TargetRow[] = [];
    for (const [target, row] of this.#targets) rows.push({ target, ...row, people: row.people.size });
    return rows.toSorted((a, b) => b.commands - a.commands);
  }

  #person(key: string, who: Named): Person {
    let person = this.#people.get(key);
    if (person === undefined) {
      const counts = { signIns: 0, sessions: 0, commands: 0, failed: 0, denied: 0, kills: 0, reads: 0 };
      person = { who, ...counts, reviewsAsked: 0, reviewsDecided: 0, targets: new Set(), lastAt: '' };
      this.#people.set(key, person);
    }
    return person;
  }

  #target(name: string): Target {
    let target = this.#targets.get(name);
    if (target === undefined) {
      const counts = { sessions: 0, commands: 0, failed: 0, denied: 0, held: 0, kills: 0, redactions: 0 };
      target = { ...counts, people: new Set(), lastAt: '' };
      this.#targets.set(name, target);
    }
    return target;
  }
}
