/** What all detectors have in common. */

/** Filled by a detector that has found something. One object is used again and again. */
export interface Match {
  start: number;
  end: number;
}

/**
 * Confirms or refuses a candidate. `at` is the place of the detector's anchor in the value `bytes[start, end)`; what is found
 * goes into `match` and lies within the value. Takes time bounded by a constant, unless it succeeds: a success may be
 * as long as the value, for what it covers is not looked at again.
 */
export type Confirm = (bytes: Uint8Array, at: number, start: number, end: number, match: Match) => boolean;
