/** What verification can find. Codes are for programs and stay; messages are for people. */

/** Something is not as the relay signed it, or not as it must be. */
export type FailureCode =
  // the signed statement
  | 'checkpoint-missing'
  | 'checkpoint-malformed'
  | 'checkpoint-unverified' // not signed by the expected key
  | 'checkpoint-superseded' // signed by a key that the log had handed over before
  | 'checkpoint-unwitnessed' // the witnesses that cosigned do not satisfy the policy
  | 'witnesses-late' // entries are unwitnessed for longer than witnesses may be away
  | 'handover-invalid' // a key is handed over that was not in force, or by an entry that proves nothing
  | 'handover-uncovered' // the old key's checkpoint over the hand-over is missing
  | 'log-rolled-back' // smaller than a checkpoint seen before, by the caller or by a witness
  | 'log-forked' // not an extension of a checkpoint seen before, by the caller or by a witness
  // the tree
  | 'entries-missing' // an entry bundle
  | 'entries-malformed'
  | 'entry-mismatch' // entry and tile disagree
  | 'tile-missing'
  | 'tile-mismatch'
  | 'root-mismatch' // the entries do not give the signed root
  // the entries
  | 'entry-malformed'
  | 'time-decreased'
  // people and their signatures
  | 'login-unknown'
  | 'login-mismatch' // a login's key and thumbprint, or its person and the session's, differ
  | 'login-over' // the log uses it after its end
  | 'delegation-invalid' // an agent acts for a person who did not sign that
  | 'signature-invalid'
  | 'request-mismatch' // the entry says something else than the signed request
  | 'request-reused'
  // attribution, when it is asked for
  | 'attribution-unsigned' // an act that no key signed
  | 'attribution-token-missing' // what the issuer signed was not kept, was erased, or is with another relay
  | 'attribution-token-mismatch' // what is kept has another digest than the login entry names
  | 'attribution-token-malformed'
  | 'attribution-claims-mismatch' // it is of another issuer, person, client or time than the login
  | 'attribution-binding-mismatch' // the issuer bound another key into it, or none where the entry says so
  | 'attribution-keys-missing' // a key set that is too large for its entry
  | 'attribution-keys-mismatch' // a key set has another digest than its entry says
  | 'attribution-key-unknown' // no key set before the login has the key
  | 'attribution-signature-invalid'
  // sessions
  | 'session-reopened'
  | 'session-unknown'
  | 'session-never-closed' // open when the relay started again
  | 'session-closed-late' // the same, and closed after it
  | 'session-totals-mismatch'
  // break-glass
  | 'break-glass-invalid' // used when it was not open, or by somebody whom it does not name
  // reviews
  | 'review-unknown' // an entry or a recorded command names one that the log does not have
  | 'review-mismatch' // held, requested, decided and recorded are not the same
  | 'review-decision-invalid' // by the requester, for a group of others, twice, or too late
  | 'review-outcome-mismatch' // the decisions do not add up to what the entry says
  | 'review-reused' // two commands by one review
  | 'command-unapproved' // a command went by a review that did not approve it
  // recordings
  | 'segment-out-of-order'
  | 'segment-missing'
  | 'segment-digest-mismatch'
  | 'segment-undecodable'
  | 'segment-header-mismatch'
  | 'segment-counts-mismatch'
  | 'originals-missing' // of what was masked: the file, or what recovery should have left in the segment
  | 'originals-digest-mismatch'
  | 'originals-mismatch' // what is sealed, opened with an identity, is not what the log promised
  | 'originals-incomplete' // it holds more or fewer than the recording has places
  | 'originals-unreadable' // the identity opens the file, and what is in it was changed
  | 'reseal-invalid' // the file that was sealed anew is not the one that counted then
  | 'recording-unlogged'
  | 'erasure-invalid' // of a session that was not over, or that the log does not name
  | 'resealed-under-hold'
  | 'erased-under-hold'
  // the journal
  | 'journal-damaged'
  | 'journal-mismatch'
  // what a bundle says of itself
  | 'manifest-missing'
  | 'manifest-malformed'
  | 'manifest-mismatch' // a file is another one than it names, or not there, or not named
  | 'manifest-unverified'; // its signature is not by the log's key, or over another manifest

/** Worth knowing, and what a relay that is running or was just killed looks like. */
export type WarningCode =
  | 'entry-unknown' // of a later program; its digest was checked, its meaning was not
  | 'entries-unwitnessed' // newer than what the witnesses have cosigned
  | 'break-glass-opened' // sessions were let in while there was no room for the record but the reserve's
  | 'request-time' // signed long before or after it was used
  | 'attribution-unbound' // the issuer signed who it is; that the key is theirs is the relay's word
  | 'attribution-not-checked' // the proof is kept, and of a kind that this program does not read
  | 'originals-locked' // the identity that was given does not open them
  | 'originals-outdated' // sealed anew, and the file from before is still there
  | 'session-unfinished' // still open, or its end is not signed yet
  | 'review-unfinished' // its session is over and it has no end
  | 'recording-leftover' // what a segment was made from, though its session is closed
  | 'recording-gap' // a lost machine took a part of which nothing was promised
  | 'recording-uncommitted' // of a session that only the journal names
  | 'journal-torn'
  | 'manifest-unsigned' // nobody says who took the bundle; what the log proves is proven all the same
  | 'journal-unpublished'; // entries that no checkpoint signs yet

export type FindingCode = FailureCode | WarningCode;

export interface Finding {
  readonly code: FindingCode;
  readonly severity: 'failure' | 'warning';
  /** One sentence, no recorded content but names and ids. */
  readonly message: string;
  /** Place in the log; null when the finding is about none. */
  readonly index: number | null;
  readonly session: string | null;
  /** Segment number in the session's recording. */
  readonly segment: number | null;
  /** Path below the evidence directory. */
  readonly file: string | null;
}

export interface Place {
  readonly index?: number;
  readonly session?: string;
  readonly segment?: number;
  readonly file?: string;
}

/** Takes findings in the order in which they are made. */
export interface Findings {
  failure(code: FailureCode, message: string, place?: Place): void;
  warning(code: WarningCode, message: string, place?: Place): void;
}

const kept = 1000;

/** Counts all findings and keeps the first thousand, so that memory stays flat however much is wrong. */
export class FindingList implements Findings {
  readonly kept: Finding[] = [];
  failures = 0;
  warnings = 0;
  readonly #tell: ((finding: Finding) => void) | undefined;

  constructor(tell: ((finding: Finding) => void) | undefined) {
    this.#tell = tell;
  }

  failure(code: FailureCode, message: string, place: Place = {}): void {
    this.failures += 1;
    this.#add({ code, severity: 'failure', message, ...this.#whole(place) });
  }

  warning(code: WarningCode, message: string, place: Place = {}): void {
    this.warnings += 1;
    this.#add({ code, severity: 'warning', message, ...this.#whole(place) });
  }

  #whole({ index, session, segment, file }: Place) {
    return { index: index ?? null, session: session ?? null, segment: segment ?? null, file: file ?? null };
  }

  #add(finding: Finding): void {
    if (this.kept.length < kept) this.kept.push(finding);
    this.#tell?.(finding);
  }
}

/**
 * For what entries say about one another: says nothing once some entries are missing, since then everything that they
 * explained would be named too. That they are missing is a failure of its own.
 */
export class RelationFindings implements Findings {
  readonly #findings: Findings;
  /** Set when entries are missing. */
  incomplete = false;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  failure(code: FailureCode, message: string, place?: Place): void {
    if (!this.incomplete) this.#findings.failure(code, message, place);
  }

  warning(code: WarningCode, message: string, place?: Place): void {
    if (!this.incomplete) this.#findings.warning(code, message, place);
  }
}
