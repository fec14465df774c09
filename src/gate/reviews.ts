/**
 * What the gate needs of reviews: hand a held command over, hear the last word. Implemented by `relay/reviews/`, which
 * gives each session one `Reviews`. Interfaces only.
 *
 * What is shown to reviewers is what is recorded: `text` and `parameters` are the bytes that `Recorder.command` gets if the
 * command goes, masked already. The bound digest that reviewers sign is over them, so that `verify` can compute it again.
 */
import type { CommandFacts } from '../model/command-facts.ts';
import type { NeededGroup } from '../model/review.ts';
import type { ReviewNotice } from './gate.ts';

export interface HeldCommand {
  readonly connection: number;
  readonly command: number;
  /** The whole text, also when it is a prepared statement's. Copied by `request`. */
  readonly text: Uint8Array;
  /** As `Recorder.command` gets them; null when none. Copied by `request`. */
  readonly parameters: Uint8Array | null;
  /** Types of the statement's parameters (PostgreSQL OIDs, 0: not told), so that reviewers can read them. */
  readonly parameterTypes: readonly number[];
  /** The connection's `client_encoding` as the client said it at its start, for reading alone; `UTF8` when it did not. */
  readonly encoding: string;
  readonly facts: CommandFacts;
  /** Ids of the policies that ask for the review. */
  readonly policies: readonly string[];
  /** Not empty. */
  readonly needed: readonly NeededGroup[];
}

export interface ReviewAnswer {
  /** True: the decision is on disk and the approval is used up; the command may be recorded with `review`, and go. */
  readonly approved: boolean;
  readonly policies: readonly string[];
  /** For the protocol's error: why not, in the reviewer's words or hoop's own; null when approved. One line. */
  readonly hint: string | null;
  /** Null: it was refused before there was a review (too long to be read, too many are pending, nothing can be recorded). */
  readonly review: string | null;
}

/** Never called from within `request`. `held` comes first, or never when there is no review. */
export interface HeldListener {
  /** `command.held` and `review.requested` are on disk. */
  held(notice: ReviewNotice): void;
  /** Once. */
  decided(answer: ReviewAnswer): void;
}

export interface HeldReview {
  /** The client waits no longer; the listener hears nothing more. Does nothing after `decided`. */
  withdraw(why: 'cancelled' | 'disconnected' | 'session-ended'): void;
}

/** Of one session. */
export interface Reviews {
  /** Never throws; whatever fails is a refusal. */
  request(held: HeldCommand, listener: HeldListener): HeldReview;
}
