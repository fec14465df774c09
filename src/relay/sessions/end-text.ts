/** What the clients of a session are told when it ends, whatever protocol they speak: one clause, and no secret in it. */
import type { SessionEnd } from '../../model/outcome.ts';

const texts: Partial<Record<SessionEnd, string>> = {
  deadline: 'the session has reached its deadline',
  killed: 'the session was ended by somebody with the right to',
  'access-ended': 'the sign-in of this session has ended, or policy no longer allows it',
  'relay-stopped': 'the relay is stopping',
  'evidence-failed': 'the record of this session cannot be written, so the session ends',
  'masking-failed': 'values in this session cannot be masked, so the session ends',
};

export const endText = (why: SessionEnd): string => texts[why] ?? 'the session has ended';
