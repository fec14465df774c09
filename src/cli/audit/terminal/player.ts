/**
 * Shows a recorded channel again at its own pace, and does what keys ask for meanwhile: pause, steps, seeking, speed. To go
 * back it shows everything again from the beginning, at once, up to there; nothing but what is shown next is in memory,
 * and a short recording.
 */
import type { StreamView } from '../../../wire/audit.ts';
import { fastest, slowest, type Pace } from '../pace.ts';
import { Rewindable } from './rewindable.ts';

export type PlayerKey = 'pause' | 'step' | 'forward' | 'back' | 'faster' | 'slower' | 'quit';

/** Where a channel is shown. */
export interface ChannelView {
  /** Whether something of it is seen: what is not takes no time. */
  shows(item: StreamView): boolean;
  /** @param atMs since the channel was opened */
  take(item: StreamView, atMs: number): Promise<void>;
  /** Back to the beginning. */
  reset(): Promise<void>;
}

export interface PlayerOptions {
  /** The channel's items from the beginning; called again to go back in a long one. */
  readonly open: () => AsyncIterable<StreamView>;
  readonly view: ChannelView;
  /** Null: without any pause. */
  readonly pace: Pace | null;
  readonly now?: () => number;
}

const seekMs = 5000;
type Turn = 'show' | 'back' | 'quit';

export class Player {
  readonly #view: ChannelView;
  readonly #items: Rewindable<StreamView>;
  readonly #now: () => number;
  readonly #maxIdleMs: number;
  /** Infinite: without any pause. */
  #speed: number;
  #paused = false;
  #steps = 0;
  /** What is shown, in time of the record. */
  #positionMs = 0;
  /** Everything before it is shown at once. */
  #targetMs: number | null;
  #back = false;
  #over = false;
  #wake: (() => void) | null = null;
  /** The pause that goes on: where it began, and when. */
  #pause: { readonly fromMs: number; readonly since: number; readonly toMs: number } | null = null;

  constructor({ open, view, pace, now = () => performance.now() }: PlayerOptions) {
    this.#items = new Rewindable(open, (item) => ('bytes' in item ? item.bytes.length : 0) + 100);
    this.#view = view;
    this.#now = now;
    this.#speed = pace?.speed ?? Infinity;
    this.#maxIdleMs = pace?.maxIdleMs ?? 0;
    this.#targetMs = pace === null || pace.fromMs === 0 ? null : pace.fromMs;
  }

  /** Resolves at the end of the channel, or when somebody quit. */
  async run(): Promise<void> {
    try {
      while ((await this.#pass()) === 'back') await this.#view.reset();
    } finally {
      await this.#items.close();
    }
  }

  press(key: PlayerKey): void {
    this.#settle();
    switch (key) {
      case 'pause':
        this.#paused = !this.#paused;
        break;
      case 'step':
        this.#paused = true;
        this.#steps++;
        break;
      case 'forward':
        this.#targetMs = (this.#targetMs ?? this.#positionMs) + seekMs;
        break;
      case 'back':
        this.#targetMs = Math.max(0, (this.#targetMs ?? this.#positionMs) - seekMs);
        this.#back ||= this.#targetMs < this.#positionMs;
        break;
      case 'faster':
        this.#speed = Math.min(fastest, this.#speed * 2);
        break;
      case 'slower':
        this.#speed = Math.max(slowest, this.#speed / 2);
        break;
      case 'quit':
        this.#over = true;
        break;
      default:
        key satisfies never;
    }
    this.#wake?.();
  }

  async #pass(): Promise<'end' | 'back' | 'quit'> {
    this.#back = false;
    this.#positionMs = 0;
    let began: number | null = null;
    for await (const item of this.#items.items()) {
      began ??= item.micros;
      const atMs = Math.max(0, (item.micros - began) / 1000);
      if (this.#view.shows(item)) {
        const turn = await this.#until(atMs);
        if (turn !== 'show') return turn;
        this.#positionMs = Math.max(this.#positionMs, atMs);
      }
      await this.#view.take(item, atMs);
    }
    return this.#back && !this.#over ? 'back' : 'end';
  }

  /** Waits for the moment of the next item, and sees to keys. */
  async #until(atMs: number): Promise<Turn> {
    for (;;) {
      if (this.#over) return 'quit';
      if (this.#back) return 'back';
      if (this.#targetMs !== null) {
        if (atMs <= this.#targetMs) return 'show';
        this.#positionMs = Math.max(this.#positionMs, this.#targetMs);
        this.#targetMs = null;
      }
      if (this.#steps > 0) {
        this.#steps--;
        return 'show';
      }
      if (this.#paused) await this.#asleep(null);
      else {
        const leftMs = Math.min((atMs - this.#positionMs) / this.#speed, this.#maxIdleMs);
        if (leftMs <= 0) return 'show';
        this.#pause = { fromMs: this.#positionMs, since: this.#now(), toMs: atMs };
        if (!(await this.#asleep(leftMs))) return 'show';
      }
    }
  }

  /** Time that passed in a pause is time of the record. */
  #settle(): void {
    if (this.#pause === null) return;
    const { fromMs, since, toMs } = this.#pause;
    this.#pause = null;
    this.#positionMs = Math.min(toMs, fromMs + (this.#now() - since) * this.#speed);
  }

  /** True: a key woke it. */
  #asleep(ms: number | null): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(() => awake(false), ms);
      const awake = (byKey: boolean): void => {
        if (timer !== null) clearTimeout(timer);
        this.#wake = null;
        this.#pause = null;
        resolve(byKey);
      };
      this.#wake = () => awake(true);
    });
  }
}
