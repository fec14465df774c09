/** Counts over time, of a history whose length nobody knows before its end, in flat memory. */
import type { EvidenceEvent } from '../read/event.ts';

export const timelineSeries = ['sessions', 'commands', 'denials', 'reviews', 'kills'] as const;
export type TimelineSeries = (typeof timelineSeries)[number];

const seriesOf: Readonly<Record<string, TimelineSeries>> = {
  'session.opened': 'sessions',
  command: 'commands',
  'command.blocked': 'denials',
  'review.requested': 'reviews',
  'session.killed': 'kills',
  'session.killed-by-operator': 'kills',
};

type Counts = Record<TimelineSeries, number>;

/** One stretch of time. */
export interface TimelineBin extends Readonly<Counts> {
  /** RFC 3339, UTC, milliseconds. */
  readonly from: string;
}

export interface Timeline {
  /** Length of a bin. */
  readonly binSeconds: number;
  /** Consecutive, empty ones too; none when nothing happened. */
  readonly bins: readonly TimelineBin[];
}

const most = 240;
const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
/** Each is a multiple of the one before, so that bins merge exactly. */
// prettier-ignore
const widths = [
  1, 5, 15, 30, minute, 5 * minute, 15 * minute, 30 * minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 7 * day,
];

export class TimelineCounter {
  #seconds = widths[0]!;
  /** By number of the bin since the epoch. */
  #bins = new Map<number, Counts>();
  #first = Infinity;
  #last = -Infinity;

  take({ kind, time }: EvidenceEvent): void {
    const series = seriesOf[kind];
    const at = Date.parse(time) / 1000;
    if (series === undefined || Number.isNaN(at)) return;
    this.#extend(Math.floor(at / this.#seconds));
    this.#bin(Math.floor(at / this.#seconds))[series]++;
  }

  timeline(): Timeline {
    const bins: TimelineBin[] = [];
    for (let n = this.#first; n <= this.#last; n++)
      bins.push({ from: new Date(n * this.#seconds * 1000).toISOString(), ...(this.#bins.get(n) ?? none()) });
    return { binSeconds: this.#seconds, bins };
  }

  #extend(bin: number): void {
    this.#first = Math.min(this.#first, bin);
    this.#last = Math.max(this.#last, bin);
    while (this.#last - this.#first >= most) this.#coarsen();
  }

  #coarsen(): void {
    const wider = widths.find((width) => width > this.#seconds) ?? this.#seconds * 2;
    const factor = wider / this.#seconds;
    const before = this.#bins;
    this.#seconds = wider;
    this.#first = Math.floor(this.#first / factor);
    this.#last = Math.floor(this.#last / factor);
    this.#bins = new Map();
    for (const [n, counts] of before) {
      const sum = this.#bin(Math.floor(n / factor));
      for (const series of timelineSeries) sum[series] += counts[series];
    }
  }

  #bin(n: number): Counts {
    let bin = this.#bins.get(n);
    if (bin === undefined) this.#bins.set(n, (bin = none()));
    return bin;
  }
}

const none = (): Counts => ({ sessions: 0, commands: 0, denials: 0, reviews: 0, kills: 0 });
