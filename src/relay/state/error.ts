/** Failures of the relay's state; codes are listed in docs/errors.md. Texts never hold a row's content. */
import { HoopError } from '../../errors.ts';

export type StateErrorCode =
  | 'state-unavailable' // cannot be opened, or the database went away
  | 'state-too-new' // migrated by a newer version than this one
  | 'state-location-invalid';

export class StateError extends HoopError<StateErrorCode> {}
