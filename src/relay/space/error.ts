import { HoopError } from '../../errors.ts';

/**
 * Why room for the record is not lent:
 * - `space-not-full`: there is room, so sessions open as ever.
 * - `break-glass-open`: it is lent already.
 * - `break-glass-person-unknown`: nobody can be found by that name.
 * - `reserve-used-up`: what is left is kept for the ends of sessions.
 */
export class SpaceError extends HoopError<
  'space-not-full' | 'break-glass-open' | 'break-glass-person-unknown' | 'reserve-used-up'
> {}
