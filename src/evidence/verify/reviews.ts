/**
 * Reviews as the log tells them, and the commands that they let through: what was held is what was asked about, what was
 * asked about is what was signed, what was signed is what the recording shows; enough people of the right groups, none of
 * them the requester, the person behind it, or an agent of theirs; and every approval was used by one command at most.
 */
import { hash } from 'node:crypto';
import { boundDigest } from '../../wire/review-binding.ts';
import { answerable, isOneParty, sameParty } from '../../model/principal.ts';
import type { EntryOf, PersonActor } from '../entry.ts';
import type { Content, SegmentRecord } from '../recording/records.ts';
import type { Findings, Place } from './finding.ts';
import type { SessionOwner } from './sessions.ts';

type Held = EntryOf<'command.held'>;
type Requested = EntryOf<'review.requested'>;
type Decided = EntryOf<'review.decided'>;

interface KnownReview {
  readonly held: Pick<Held, 'session' | 'connection' | 'command' | 'digest'>;
  /** Place of `command.held` in the log. */
  readonly index: number;
  requested: Pick<Requested, 'actor' | 'digest' | 'needed' | 'expires' | 'parametersDigest'> | null;
  state: 'pending' | 'approved' | 'rejected' | 'ended';
  /** Who decided, and for approvals the needed groups that they were in. */
  readonly decisions: Map<string, { readonly actor: PersonActor; readonly groups: readonly string[] }>;
  recorded: boolean;
}

/** Between the relay's look at the time and the entry that follows from it. */
const lateMs = 60_000;

/** Memory grows with the reviews of the log, about half a kilobyte each. */
export class Reviews {
  readonly #known = new Map<string, KnownReview>();
  /** Sessions that ended with the relay or with its log, and their reviews with them. */
  readonly #cutOff = new Set<string>();
  readonly #findings: Findings;

  /** @param findings takes what may only be said when no entry is missing */
  constructor(findings: Findings) {
    this.#findings = findings;
  }

  held(entry: Held, index: number): void {
    const { review, session, connection, command, digest } = entry;
    const held = { session, connection, command, digest };
    if (this.#known.has(review)) this.#mismatch('a review has two held commands', { index, session });
    else
      this.#known.set(review, {
        held,
        index,
        requested: null,
        state: 'pending',
        decisions: new Map(),
        recorded: false,
      });
  }

  /** @param owner of its session; null when the log does not know the session as open */
  requested(entry: Requested, owner: SessionOwner | null, index: number): void {
    const known = this.#find(entry, index);
    if (known === null) return;
    const { actor, digest, needed, expires, parametersDigest, review, session } = entry;
    if (known.requested !== null) this.#mismatch('a review was requested twice', { index, session });
    known.requested = { actor, digest, needed, expires, parametersDigest };
    if (owner === null) return;
    const { connection, command, digest: text } = known.held;
    const { issuer, subject, target } = owner;
    const who = { review, issuer, subject, target, session };
    const bound = boundDigest({ ...who, connection, command, text, parameters: parametersDigest, expires });
    if (bound !== digest || !sameParty(actor, owner))
      this.#mismatch('a review was requested for something else than was held', { index, session });
  }

  /** @param groups of the reviewer's login; null when it is not known, which is a finding of its own */
  decided(entry: Decided, groups: readonly string[] | null, index: number): void {
    const known = this.#find(entry, index);
    if (known === null) return;
    const place = { index, session: entry.session };
    const { requested, decisions } = known;
    if (requested === null || requested.digest !== entry.digest) {
      this.#mismatch('a decision is about something else than was requested', place);
      return;
    }
    const why = notAllowed(entry, known, requested, groups);
    if (why !== null) this.#findings.failure('review-decision-invalid', `a decision is ${why}`, place);
    const { actor } = entry;
    decisions.set(nameOf(answerable(actor)), {
      actor,
      groups: entry.decision === 'approve' ? entry.groups : [],
    });
    const met = requested.needed.every(
      ({ group, count }) =>
        [...decisions.values()].filter(({ groups: of }) => of.includes(group)).length >= count,
    );
    const outcome = entry.decision === 'reject' ? 'rejected' : met ? 'approved' : 'pending';
    if (outcome !== entry.outcome)
      this.#findings.failure(
        'review-outcome-mismatch',
        `a review is ${outcome} by its decisions, and the entry says ${entry.outcome}`,
        place,
      );
    if (why === null && known.state === 'pending') known.state = outcome;
  }

  ended(entry: EntryOf<'review.ended'>, index: number): void {
    const known = this.#find(entry, index);
    if (known === null) return;
    if (known.state !== 'pending' && !(known.state === 'approved' && entry.outcome === 'withdrawn'))
      this.#mismatch(`a review that was over has ${entry.outcome}`, { index, session: entry.session });
    // What was approved at that very moment stays so: whether its command went is in the recording.
    if (known.state === 'pending') known.state = 'ended';
  }

  sessionClosed({ session, outcome }: EntryOf<'session.closed'>): void {
    if (outcome === 'interrupted' || outcome === 'evidence-failed') this.#cutOff.add(session);
  }

  /** Takes the records of one segment. */
  recordsOf(place: Required<Pick<Place, 'index' | 'session' | 'segment'>>): (record: SegmentRecord) => void {
    const statements = new Map<number, Content>();
    return (record) => {
      if (record.kind === 'statement') statements.set(record.statement, record.text);
      else if (record.kind === 'command' && record.review !== null) {
        const text = typeof record.text === 'number' ? (statements.get(record.text) ?? null) : record.text;
        this.#recorded({ ...record, review: record.review }, text, place);
      }
    };
  }

  /** The log has ended. @param closed is the session over? */
  finish(closed: (session: string) => boolean): void {
    for (const [review, { held, index, state }] of this.#known)
      if (state === 'pending' && closed(held.session) && !this.#cutOff.has(held.session))
        this.#findings.warning('review-unfinished', `review ${review} has no end, though its session has`, {
          index,
          session: held.session,
        });
  }

  #recorded(
    record: Extract<SegmentRecord, { kind: 'command' }> & { readonly review: string },
    text: Content | null,
    place: Place,
  ): void {
    const known = this.#known.get(record.review);
    if (known === undefined) {
      const message = `a recorded command names review ${record.review}, which the log does not know`;
      this.#findings.failure('review-unknown', message, place);
      return;
    }
    if (known.recorded)
      this.#findings.failure('review-reused', `two commands name review ${record.review}`, place);
    known.recorded = true;
    const { held, requested, state } = known;
    const parameters = record.parameters === null ? null : digestOf(record.parameters);
    const isWhatWasHeld =
      held.session === place.session &&
      held.connection === record.connection &&
      held.command === record.command &&
      text !== null &&
      held.digest === digestOf(text) &&
      (requested === null || requested.parametersDigest === parameters);
    if (!isWhatWasHeld)
      this.#mismatch(`a recorded command is not the one that review ${record.review} is about`, place);
    if (record.verdict === 'allow' && state !== 'approved')
      this.#findings.failure(
        'command-unapproved',
        `a command went by review ${record.review}, which did not approve it`,
        place,
      );
  }

  #find(entry: Requested | Decided | EntryOf<'review.ended'>, index: number): KnownReview | null {
    const known = this.#known.get(entry.review);
    if (known?.held.session === entry.session) return known;
    const message = `${entry.kind} names review ${entry.review}, for which nothing of the session was held`;
    this.#findings.failure('review-unknown', message, { index, session: entry.session });
    return null;
  }

  #mismatch(message: string, place: Place): void {
    this.#findings.failure('review-mismatch', message, place);
  }
}

const nameOf = ({ issuer, subject }: { issuer: string; subject: string }): string =>
  JSON.stringify([issuer, subject]);

const digestOf = (content: Content): string =>
  Buffer.isBuffer(content) ? hash('sha256', content, 'hex') : content.sha256.toString('hex');

/** Why the decision cannot count; null when it can. */
function notAllowed(
  { actor, groups: spoken, time }: Decided,
  { state, decisions }: KnownReview,
  { actor: requester, needed, expires }: NonNullable<KnownReview['requested']>,
  groups: readonly string[] | null,
): string | null {
  if (isOneParty(actor, requester)) return "the requester's own, or of an agent or the person behind it";
  if (state !== 'pending') return 'on a review that was over';
  if ([...decisions.values()].some(({ actor: before }) => isOneParty(before, actor)))
    return 'the second of one person';
  if (Date.parse(time) - Date.parse(expires) > lateMs) return 'after the deadline';
  const entitled = new Set(
    needed.map(({ group }) => group).filter((group) => groups?.includes(group) ?? true),
  );
  return spoken.every((group) => entitled.has(group)) ? null : 'for a group that the reviewer is not in';
}
