import { HoopError } from '../../errors.ts';

export type StreamErrorCode =
  | 'stream-destination-invalid' // it cannot be used as it is written
  | 'stream-unreachable' // it does not answer, or the connection broke
  | 'stream-not-taken' // it answered that it does not take this
  | 'stream-cursor-invalid'; // what is kept about it is of another log, or was not written by hoop

export class StreamError extends HoopError<StreamErrorCode> {}
