/** Points in time as people type them. */
import { DurationError, parseDuration } from '../time.ts';

/**
 * `2026-11-21` (midnight UTC), an RFC 3339 time with or without seconds, or a duration (`2h`: two hours before `now`).
 * @returns RFC 3339, UTC, milliseconds
 * @throws DurationError `duration-invalid`
 */
export function parseMoment(text: string, now: Date): string {
  if (/^(?:\d{1,9}[smhd])+$/.test(text))
    return new Date(now.getTime() - parseDuration(text) * 1000).toISOString();
  if (/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) {
    const moment = new Date(text);
    if (!Number.isNaN(moment.getTime())) return moment.toISOString();
  }
  throw new DurationError('duration-invalid', `"${text}" is not a time`, {
    hint: 'for example 2026-11-21, 2026-11-21T09:30Z, or 2h for two hours ago',
  });
}
