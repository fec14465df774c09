import { HoopError } from '../../errors.ts';

export type StreamErrorCode =
  | 'stream-destination-invalid' // it cannot be used as it is written
  | 'stream-unreachable' // it does not answer, or the connection broke
  | 'stream-not-taken' // it answered that it does not take this
  | 'stream-cursor-invalid'; // what is kept about it is of another log, or was not written by hoop

export class StreamError extends HoopError<StreamErrorCode> {
  /** The receiver asked to be left alone for so long; null: it did not say. */
  readonly retryAfterMs: number | null;

  constructor(
    code: StreamErrorCode,
    message: string,
    {
      retryAfterMs = null,
      ...options
    }: { hint?: string; cause?: unknown; retryAfterMs?: number | null } = {},
  ) {
    super(code, message, options);
    this.retryAfterMs = retryAfterMs;
  }
}
