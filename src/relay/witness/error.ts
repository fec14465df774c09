import { HoopError } from '../../errors.ts';

/**
 * - `witness-unreachable`: no answer, or none that this protocol has.
 * - `witness-refused`: it does not cosign this log, or not now; the status is in the message.
 * - `witness-contradicts`: it saw another history of this log, or a longer one.
 * - `witness-state-damaged`: what this witness remembers is not what it wrote.
 * - `witness-locked`: another witness uses the directory.
 */
export type WitnessErrorCode =
  | 'witness-unreachable'
  | 'witness-refused'
  | 'witness-contradicts'
  | 'witness-state-damaged'
  | 'witness-locked';

/** Between a log and its witnesses. */
export class WitnessError extends HoopError<WitnessErrorCode> {}
