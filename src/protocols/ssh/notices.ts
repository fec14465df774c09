/** What the relay says to the person in a channel, on its standard error. No terminal can be steered by it. */
import { HoopError } from '../../errors.ts';
import type { FinalVerdict, ReviewNotice } from '../../gate/gate.ts';
import type { Refusal } from './program.ts';
import { endedNotice } from './terminal/notices.ts';

export const line = (text: string): Buffer => Buffer.from(`hoop: ${text.replaceAll(/\p{Cc}/gu, '?')}\r\n`);

export function heldText({ review, needed, expiresAtMs }: ReviewNotice): Buffer {
  const until = new Date(expiresAtMs).toISOString().slice(11, 16);
  return line(
    `held for review ${review}; approve: hoop approve ${review}; needs ${needed.join(', ')}; until ${until} UTC`,
  );
}

export function refusalText({ kind, message, hint }: Refusal): Buffer {
  if (hint === null) return line(message);
  return line(`${message}${kind === 'denied' ? ' ' : '; '}${hint}`);
}

export function denial(verdict: Extract<FinalVerdict, { kind: 'deny' }>): Refusal {
  const by = verdict.policies.length === 0 ? '' : ` by ${verdict.policies.join(', ')}`;
  return { kind: 'denied', message: `denied${by}.`, hint: verdict.hint, code: null };
}

/** Only what hoop itself says: other errors may hold what is nobody's business. */
export function loss(error: unknown): Refusal {
  if (!(error instanceof HoopError))
    return { kind: 'unreachable', message: 'the relay failed to reach the target', hint: null, code: null };
  const { message, hint = null, code } = error;
  return { kind: 'unreachable', message, hint, code };
}

/** The session ends, and what runs in it; on a terminal a line of its own. */
export const ending = (why: string, terminal: boolean): Buffer =>
  terminal ? endedNotice(why) : line(`${why}.`);

export const withdrawal: Refusal = {
  kind: 'cancelled',
  message: 'withdrawn before it was decided',
  hint: null,
  code: null,
};
