/** How fast a session is shown again. */
import { DurationError, parseDuration } from '../time.ts';
import type { TranscriptView } from '../../wire/audit.ts';

export interface Pace {
  /** 2: twice as fast. */
  readonly speed: number;
  /** Longest pause. */
  readonly maxIdleMs: number;
  /** What was before this time since the beginning is shown without pauses. */
  readonly fromMs: number;
}

export const slowest = 1 / 16;
export const fastest = 1000;

/**
 * `2`, `0.5`; 0: without any pause.
 * @throws DurationError `duration-invalid`
 */
export function parseSpeed(text: string): number {
  const speed = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : -1;
  if (speed === 0 || (speed >= slowest && speed <= fastest)) return speed;
  throw new DurationError('duration-invalid', `"${text}" is not a speed`, {
    hint: `between ${slowest} and ${fastest}, 2 for twice as fast; 0 for no pauses`,
  });
}

/**
 * `2s`, `0.5s`, `500ms`, `1m30s`; a number alone is seconds.
 * @returns milliseconds
 * @throws DurationError `duration-invalid`
 */
export function parseMoments(text: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s)?$/.exec(text);
  if (match === null) return parseDuration(text) * 1000;
  return Number(match[1]) * (match[2] === 'ms' ? 1 : 1000);
}

/** Gives the items at their own pace; null: without any pause. Ends early when `signal` says so. */
export async function* paced(
  items: AsyncIterable<TranscriptView | null>,
  pace: Pace | null,
  signal: AbortSignal,
): AsyncGenerator<TranscriptView> {
  let [began, before]: [number | null, number] = [null, 0];
  for await (const item of items) {
    if (item === null) continue;
    began ??= item.micros;
    const atMs = (item.micros - began) / 1000;
    const passedMs = atMs - Math.max(before, pace?.fromMs ?? 0);
    before = atMs;
    if (pace !== null && passedMs > 0) await pause(Math.min(passedMs / pace.speed, pace.maxIdleMs), signal);
    if (signal.aborted) return;
    yield item;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
