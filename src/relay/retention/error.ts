import { HoopError } from '../../errors.ts';

export type RetentionErrorCode =
  | 'evidence-held' // a hold forbids erasing it
  | 'evidence-locked' // the archive's lock keeps it
  | 'erasure-impossible' // there is nothing of it to erase, or it is not over
  | 'hold-unknown';

export class RetentionError extends HoopError<RetentionErrorCode> {}
