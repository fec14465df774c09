/** What ends an scp channel: bytes that are not its protocol, or out of turn. Nothing of them has gone anywhere. */
import { HoopError } from '../../../errors.ts';

export type ScpErrorCode =
  | 'scp-malformed-line' // a line that is none of the protocol's
  | 'scp-unsafe-name' // a file name that leads elsewhere, or that is not the one that was asked for
  | 'scp-out-of-turn'; // bytes while the other end has the word

export class ScpError extends HoopError<ScpErrorCode> {}
