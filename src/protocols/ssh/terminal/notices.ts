/**
 * What hoop itself writes onto the terminal, between the shell's output. Each is a line of its own. The target does not know
 * of it: after a denial it gets Ctrl-C, so that its line editor draws a fresh prompt below.
 */

export interface HeldNotice {
  readonly review: string;
  /** Who may approve: `dba-leads (1)`. */
  readonly needed: readonly string[];
}

const yellow = '\u001b[33m';
const red = '\u001b[31m';
const plain = '\u001b[39m';

/** The line waits for people. */
export function heldNotice({ review, needed }: HeldNotice): Buffer {
  const who = needed.length === 0 ? '' : `; needs ${needed.join(', ')}`;
  return notice(yellow, `held for review ${review}; approve: hoop approve ${review}${who}; Ctrl-C withdraws`);
}

/** The line may go after all; the shell's own output follows. */
export function approvedNotice(): Buffer {
  return notice(yellow, 'approved');
}

/** `hint`: what the verdict says that the person can do, or null. */
export function deniedNotice(policies: readonly string[], hint: string | null): Buffer {
  const by = policies.length === 0 ? '' : ` by ${policies.join(', ')}`;
  return notice(red, `denied${by}${hint === null ? '' : `; ${hint}`}`);
}

/** The person, or the end of something, took the line back. */
export function withdrawnNotice(): Buffer {
  return notice(yellow, 'withdrawn');
}

/** The session ends, and with it what runs here. */
export function endedNotice(why: string): Buffer {
  return notice(red, why);
}

/** Names of policies and people are configuration, and still nothing that steers a terminal goes out. */
function notice(colour: string, text: string): Buffer {
  const printable = text.replace(/\p{C}/gu, '?').slice(0, 2000);
  return Buffer.from(`\r\n${colour}hoop: ${printable}${plain}\r\n`);
}
