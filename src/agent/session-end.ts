/** How a session ended, in one line for the person whose it was, and whether the agent may ask for another. */
import type { HoopError } from '../errors.ts';
import type { SessionEnd } from '../model/outcome.ts';

/** Why a target is no longer served here. */
export interface ServedEnd {
  /** The relay's word, or `failed` when it could not be asked any more. */
  readonly why: SessionEnd | 'failed';
  /** One line. */
  readonly text: string;
  /** What made it fail; null when it ended by the relay's or the person's will. */
  readonly error: HoopError | null;
}

const texts: Readonly<Record<SessionEnd, string>> = {
  ended: 'session ended',
  deadline: 'session ended: its time is over',
  killed: 'session ended: somebody with the right to do so stopped it',
  'access-ended': 'session ended: your access was withdrawn or your sign-in ran out',
  disconnected: 'session ended: the relay lost this connection for too long',
  'relay-stopped': 'session ended: the relay stopped',
  'evidence-failed': 'session ended: the relay could not record it',
  'masking-failed': 'session ended: the relay could not mask what came',
  interrupted: 'session ended: the relay was interrupted',
  'target-unreachable': 'session ended: the relay could not reach the target',
};

export function endedBy(why: SessionEnd): ServedEnd {
  return { why, text: texts[why], error: null };
}

/** The relay refused to go on, or the agent cannot. */
export function failedBy(error: HoopError): ServedEnd {
  return { why: 'failed', text: `session ended: ${error.message}`, error };
}

/**
 * After which ends the agent asks for a session again, so that the local port survives: when it was the relay's
 * business, and when the person may have signed in again meanwhile. Never when somebody decided that it be over.
 */
export function mayReopen(why: SessionEnd): boolean {
  return why === 'disconnected' || why === 'relay-stopped' || why === 'interrupted' || why === 'access-ended';
}
