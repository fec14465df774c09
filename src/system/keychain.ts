/**
 * The user's credential store, with keytar's interface.
 *
 * keytar itself is archived and needs a compiler; the same four calls stand here on the operating system's store
 * (Secret Service, Keychain, Credential Manager: keychain-service.ts) and, where there is none, on an encrypted file
 * that only the user can read (keychain-file.ts); keychain-choice.ts picks. A store that is there but locked is an error, never a reason to
 * look like *not signed in* and never one to fall back to the file.
 */
import { HoopError } from '../errors.ts';

export class KeychainError extends HoopError<
  'keychain-locked' | 'keychain-failed' | 'keychain-unknown' | 'credential-file-damaged'
> {}

/** The operating system's store, or the encrypted file of this user. */
export type StoreKind = 'system' | 'file';

/** Passwords by service and account; a password is any text. */
export interface Keychain {
  /** Null when there is none. @throws KeychainError `keychain-locked` | `keychain-failed` */
  getPassword(service: string, account: string): Promise<string | null>;
  /** @throws KeychainError `keychain-locked` | `keychain-failed` */
  setPassword(service: string, account: string, password: string): Promise<void>;
  /** False when there was none. @throws KeychainError `keychain-locked` | `keychain-failed` */
  deletePassword(service: string, account: string): Promise<boolean>;
  /** Every account of the service. @throws KeychainError `keychain-locked` | `keychain-failed` */
  findCredentials(service: string): Promise<{ account: string; password: string }[]>;
  /** Null when there is none. @throws KeychainError `keychain-locked` | `keychain-failed` */
  whereIs(service: string, account: string): Promise<StoreKind | null>;
  /** Returns when something could be written now. @throws as `setPassword` */
  probe(service: string): Promise<void>;
}
