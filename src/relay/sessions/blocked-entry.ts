/** `command.blocked`: policy said no, and the target never saw the command. */
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { actorOf, type NewEntry } from '../../evidence/entry.ts';
import type { TextDigest } from '../../gate/recorder.ts';
import type { BlockedCommand } from '../../gate/session-gate.ts';
import type { SessionId } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';

export function blockedEntry(
  session: SessionId,
  principal: Principal,
  { connection, command, text, policies }: BlockedCommand,
): NewEntry {
  return {
    kind: 'command.blocked',
    actor: actorOf(principal),
    session,
    connection,
    command,
    ...quoted(text),
    policies: [...policies],
  };
}

/** Longer texts, and those that are no UTF-8, stand in the recording alone. */
const quotedBytes = 4096;

function quoted(text: Uint8Array | TextDigest): { digest: string; text: string | null } {
  if (!(text instanceof Uint8Array)) return { digest: Buffer.from(text.sha256).toString('hex'), text: null };
  const readable = text.length <= quotedBytes && isUtf8(text);
  return { digest: hash('sha256', text, 'hex'), text: readable ? Buffer.from(text).toString() : null };
}
