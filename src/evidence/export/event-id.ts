/** What names an event, so that a receiver that got it twice can tell: a leaf of the log, or a command of a session. */
import type { EvidenceEvent } from '../read/event.ts';

/** Unique in one log. */
export function eventId({ kind, logIndex, session, connection, command, time }: EvidenceEvent): string {
  if (logIndex !== null) return `entry-${logIndex}`;
  if (command !== null) return `command-${session}-${connection}-${command}`;
  return `${kind}-${session}-${time}`;
}
