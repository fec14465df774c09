/** Failures of the log and of the recordings; codes are listed in docs/errors.md. Texts never hold recorded content. */
import { HoopError } from '../errors.ts';

export type EvidenceErrorCode =
  | 'log-locked' // another process writes this log
  | 'log-write-failed' // an entry could not be made durable; nothing that depends on it may happen
  | 'log-damaged' // what is on disk contradicts itself; people must look before anything is appended
  | 'log-closed'
  | 'note-malformed' // not a signed note, a verifier key or a signer key in the C2SP form
  | 'note-unverified' // no valid signature of the expected key
  | 'log-signing-failed' // whatever holds the log's key did not sign; entries are kept, their checkpoint is late
  | 'log-key-superseded' // the log was handed over to a key that is not at hand
  | 'rotation-refused' // the log's key cannot be handed over to this one, or not now
  | 'handover-invalid' // does not prove that a log's key was replaced by another
  | 'policy-file-invalid' // not a policy of logs and witnesses in the C2SP form
  | 'log-key-exposed' // the file of the log's signing key is readable by others
  | 'entry-invalid' // a program asked for an entry that the format forbids
  | 'recording-failed' // a record could not be written, or stalled past its bound; the session must end
  | 'recording-damaged' // bytes of a recording that are not the format
  | 'originals-locked' // no identity at hand opens the sealed originals
  | 'originals-unreadable' // an identity opens them, and what is in them was changed
  | 'bundle-malformed' // no ZIP, or one that two programs could read differently, or damaged
  | 'bundle-interrupted' // what an interrupted export left is of another export or another log
  | 'search-pattern-invalid' // what is looked for is outside of the language, or takes too long
  | 'log-shorter' // it has fewer entries than a reader was told before
  | 'evidence-not-found';

export class EvidenceError extends HoopError<EvidenceErrorCode> {}
