/**
 * The report about a record: who did what where, what was denied, who decided and how fast, what is missing, and which
 * controls that bears on. One pass over the events; memory grows with people, targets and reviews, not with commands.
 *
 * It deliberately proves nothing: `evidence/verify` does, and its report stands beside.
 */
import type { EvidenceEvent } from '../read/event.ts';
import type { EventFilter } from '../read/filter.ts';
import type { Report } from '../verify/verify.ts';
import { ControlCounts, type Control } from './control-counts.ts';
import { killOf, type Kill } from './kills.ts';
import { PeopleAndTargets, type PersonRow, type TargetRow } from './people.ts';
import { namedKey, namedOf, type Named } from './person.ts';
import { ReviewHistory, shortened, type ReviewSummary } from './reviews.ts';
import { FirstOf, tally } from './sample.ts';
import { TimelineCounter, type Timeline } from './timeline.ts';

/** Commands of one person at one target that the same policies stopped. */
export interface DenialRow {
  readonly by: Named | null;
  readonly target: string | null;
  /** Ids; none: no policy permitted it. */
  readonly policies: readonly string[];
  readonly count: number;
  readonly lastAt: string;
  /** Of the last one, shortened. */
  readonly text: string | null;
  /** Of the last one: place in the log. */
  readonly logIndex: number | null;
}

export interface KillRow extends Kill {
  readonly session: string | null;
  readonly target: string | null;
}

/** What is missing: refused entries, or a recording that does not parse. */
export interface GapRow {
  readonly time: string;
  readonly kind: 'gap' | 'unreadable';
  readonly session: string | null;
  readonly reason: string | null;
  /** Entries that were refused; null: not known. */
  readonly entries: number | null;
}

/** The longest lists hold the first thousand, and say how many more there are. */
export interface Listing<T> {
  readonly listed: readonly T[];
  readonly more: number;
}

export interface AuditReport {
  readonly v: 1;
  /** What was asked for. */
  readonly filter: EventFilter;
  /** Times of the first and the last event; null when there is none. */
  readonly from: string | null;
  readonly to: string | null;
  readonly totals: {
    /** By kind. */
    readonly events: Readonly<Record<string, number>>;
    /** Commands by outcome. */
    readonly commands: Readonly<Record<string, number>>;
    /** Sessions by how they ended. */
    readonly endings: Readonly<Record<string, number>>;
    /** Reviews by outcome. */
    readonly reviews: Readonly<Record<string, number>>;
    /** Masked values. */
    readonly redactions: number;
  };
  readonly timeline: Timeline;
  /** Those with most commands first. */
  readonly people: readonly PersonRow[];
  readonly targets: readonly TargetRow[];
  /** Most frequent first. */
  readonly denials: readonly DenialRow[];
  readonly reviews: Listing<ReviewSummary> & {
    /** From request to end, of approved and rejected ones; null: none was decided. */
    readonly medianSeconds: number | null;
    readonly longestSeconds: number | null;
  };
  readonly kills: Listing<KillRow>;
  readonly gaps: Listing<GapRow>;
  readonly controls: readonly Control[];
  /** Of the whole log, whatever the filter. Null: nothing was verified. */
  readonly verification: Report | null;
}

const listed = 1000;

export class ReportBuilder {
  readonly #events: Record<string, number> = {};
  readonly #commands: Record<string, number> = {};
  readonly #endings: Record<string, number> = {};
  #redactions = 0;
  #from: string | null = null;
  #to: string | null = null;
  readonly #timeline = new TimelineCounter();
  readonly #people = new PeopleAndTargets();
  readonly #denials = new Map<string, DenialRow>();
  readonly #reviews = new ReviewHistory();
  readonly #kills = new FirstOf<KillRow>(listed);
  readonly #gaps = new FirstOf<GapRow>(listed);
  readonly #controls = new ControlCounts();

  /** Takes events in order of time. */
  take(event: EvidenceEvent): void {
    this.#from ??= event.time;
    this.#to = event.time;
    tally(this.#events, event.kind);
    for (const each of [this.#timeline, this.#people, this.#reviews, this.#controls]) each.take(event);
    const kill = killOf(event);
    if (kill !== null) this.#kills.push({ ...kill, session: event.session, target: event.target });
    switch (event.kind) {
      case 'command':
        tally(this.#commands, event.outcome ?? 'unfinished');
        this.#redactions += event.redactions ?? 0;
        break;
      case 'session.closed':
        tally(this.#endings, event.outcome ?? 'unknown');
        break;
      case 'command.blocked':
        this.#denied(event);
        break;
      case 'gap':
      case 'unreadable':
        this.#gaps.push(gapOf(event, event.kind));
        break;
    }
  }

  /** @param verification null: nothing was verified */
  report(filter: EventFilter, verification: Report | null): AuditReport {
    const reviews = this.#reviews.all();
    return {
      v: 1,
      filter,
      from: this.#from,
      to: this.#to,
      totals: {
        events: this.#events,
        commands: this.#commands,
        endings: this.#endings,
        reviews: countBy(reviews, ({ outcome }) => outcome),
        redactions: this.#redactions,
      },
      timeline: this.#timeline.timeline(),
      people: this.#people.people(),
      targets: this.#people.targets(),
      denials: [...this.#denials.values()].toSorted((a, b) => b.count - a.count),
      reviews: {
        listed: reviews.slice(0, listed),
        more: Math.max(0, reviews.length - listed),
        ...decisionTimes(reviews),
      },
      kills: { listed: this.#kills.listed, more: this.#kills.more },
      gaps: { listed: this.#gaps.listed, more: this.#gaps.more },
      controls: this.#controls.controls(verification),
      verification,
    };
  }

  #denied({ principal, target, details, time, text, logIndex }: EvidenceEvent): void {
    const by = principal === null ? null : namedOf(principal);
    const policies = stringsOf(details?.['policies']);
    const key = JSON.stringify([by && namedKey(by), target, policies]);
    const count = (this.#denials.get(key)?.count ?? 0) + 1;
    this.#denials.set(key, { by, target, policies, count, lastAt: time, text: shortened(text), logIndex });
  }
}

function gapOf({ time, session, reason, details }: EvidenceEvent, kind: GapRow['kind']): GapRow {
  const { count, error } = details ?? {};
  return {
    time,
    kind,
    session,
    reason: reason ?? (typeof error === 'string' ? error : null),
    entries: typeof count === 'number' ? count : null,
  };
}

const stringsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];

function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) tally(counts, name(item));
  return counts;
}

function decisionTimes(
  reviews: readonly ReviewSummary[],
): Pick<AuditReport['reviews'], 'medianSeconds' | 'longestSeconds'> {
  const decided = reviews.filter(({ outcome }) => outcome === 'approved' || outcome === 'rejected');
  const seconds = decided
    .flatMap((review) => (review.seconds === null ? [] : [review.seconds]))
    .toSorted((a, b) => a - b);
  const [low, high] = [seconds[(seconds.length - 1) >> 1], seconds[seconds.length >> 1]];
  return {
    medianSeconds: low === undefined || high === undefined ? null : (low + high) / 2,
    longestSeconds: seconds.at(-1) ?? null,
  };
}
