import { HoopError } from '../../errors.ts';

export type ArchiveErrorCode =
  | 'archive-unreachable' // it does not answer, or the connection broke
  | 'archive-refused' // it answered that it does not do this
  | 'archive-mismatch' // it does not hold what it was given, or not under the lock that it was asked for
  | 'archive-locked' // it keeps what should be removed until its lock ends
  | 'archive-foreign'; // what it holds, or what is kept about it, is of another log or place

export class ArchiveError extends HoopError<ArchiveErrorCode> {}
