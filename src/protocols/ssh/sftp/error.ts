/** What ends an SFTP channel: bytes that are no SFTP, or a bound that was passed. Nothing of the packet has gone anywhere. */
import { HoopError } from '../../../errors.ts';

export type SftpErrorCode =
  | 'sftp-malformed-packet' // a packet that contradicts itself
  | 'sftp-unexpected-packet' // one that is not legal now: of an unknown type, out of turn, or an answer to nothing
  | 'sftp-packet-too-large'
  | 'sftp-unsupported-version' // the client or the target does not speak version 3
  | 'sftp-too-many-requests'; // more of them than are ever answered late

export class SftpError extends HoopError<SftpErrorCode> {}
