/** Failures of this protocol. Texts may reach the client: they name neither address nor credential. */
import { HoopError } from '../../errors.ts';

export type SshErrorCode =
  | 'ssh-target-unreachable' // it could not be dialled, or speaks no SSH
  | 'ssh-host-key-unknown' // no host key is pinned for it
  | 'ssh-host-key-changed' // it shows another host key than the pinned one
  | 'ssh-authentication-refused' // it does not accept the relay's credential
  | 'ssh-credential-unusable' // the configured key cannot be read as one
  | 'ssh-connection-lost'; // the target went away

export class SshError extends HoopError<SshErrorCode> {}
