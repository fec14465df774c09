/** Durations and times of day as people type and read them. */
import { HoopError } from '../errors.ts';

export class DurationError extends HoopError<'duration-invalid'> {}

const secondsPerUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const longestSeconds = 604_800;

/**
 * `90s`, `30m`, `1h30m`, `2d`; a week at most.
 * @returns whole seconds
 * @throws DurationError `duration-invalid`
 */
export function parseDuration(text: string): number {
  const parts = /^(?:\d{1,9}[smhd])+$/.test(text) ? [...text.matchAll(/(\d+)([smhd])/g)] : [];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * secondsPerUnit[unit!]!, 0);
  if (seconds >= 1 && seconds <= longestSeconds) return seconds;
  throw new DurationError('duration-invalid', `"${text}" is not a duration between 1 second and 7 days`, {
    hint: 'for example 30m, 8h or 1h30m',
  });
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `18:04`, with the date in front when it is not today; the machine's own time zone. */
export function timeOfDay(moment: Date, now: Date = new Date()): string {
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}`;
  if (moment.toDateString() === now.toDateString()) return time;
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${time}`;
}

/** RFC 3339, for JSON; null stays null. */
export const instant = (ms: number | null): string | null =>
  ms === null ? null : new Date(ms).toISOString();
