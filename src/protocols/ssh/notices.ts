/** What the relay says to the person in a channel, on its standard error. No terminal can be steered by it. */
import { HoopError } from '../../errors.ts';
import type { FinalVerdict, ReviewNotice } from '../../gate/gate.ts';

export const line = (text: string): Buffer => Buffer.from(`hoop: ${text.replaceAll(/\p{Cc}/gu, '?')}\r\n`);

export function heldText({ review, needed, expiresAtMs }: ReviewNotice): Buffer {
  const until = new Date(expiresAtMs).toISOString().slice(11, 16);
  return line(
    `held for review ${review}; approve: hoop approve ${review}; needs ${needed.join(', ')}; until ${until} UTC`,
  );
}

export function deniedText(verdict: Extract<FinalVerdict, { kind: 'deny' }>): Buffer {
  const by = verdict.policies.length === 0 ? '' : ` by ${verdict.policies.join(', ')}`;
  return line(`denied${by}.${verdict.hint === null ? '' : ` ${verdict.hint}`}`);
}

/** Only what hoop itself says: other errors may hold what is nobody's business. */
export function lostText(error: unknown): Buffer {
  if (!(error instanceof HoopError)) return line('the relay failed to reach the target');
  return line(`${error.message}${error.hint === undefined ? '' : `; ${error.hint}`}`);
}
