import { HoopError } from '../errors.ts';

/**
 * - `provider-not-embedded`: people are managed at the OpenID provider that the configuration names.
 * - `user-unknown`, `user-exists`: by e-mail address.
 * - `login-unknown`, `session-not-live`: no live login or session of this id.
 * - `service-account-unknown`, `service-account-exists`: by name.
 * - `key-file-unusable`: the file of a key cannot be read, or there is one already.
 * - `password-unreadable`: standard input gave no password, or two that differ.
 * - `target-not-configured`, `host-key-not-trusted`: `hoop relay trust` pinned nothing.
 * - `saml-not-configured`: people do not sign in to this relay by SAML.
 * - `relay-check-failed`: `hoop relay check` found something that keeps the relay from working.
 */
export type OperatorErrorCode =
  | 'provider-not-embedded'
  | 'user-unknown'
  | 'user-exists'
  | 'login-unknown'
  | 'session-not-live'
  | 'service-account-unknown'
  | 'service-account-exists'
  | 'key-file-unusable'
  | 'password-unreadable'
  | 'target-not-configured'
  | 'host-key-not-trusted'
  | 'saml-not-configured'
  | 'relay-check-failed';

/** What an operator asked for and cannot have. */
export class OperatorError extends HoopError<OperatorErrorCode> {}
