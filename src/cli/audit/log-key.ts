/**
 * The verifier key to check a log with. It must come from elsewhere than the evidence: from the person, or as it was
 * pinned at the first sign-in.
 */
import { directories } from '../../agent/directories.ts';
import { SettingsFile } from '../../agent/settings.ts';
import { within, type Location } from '../../evidence/location.ts';
import { parseCheckpoint } from '../../evidence/log/checkpoint.ts';
import { parseNote, type NoteVerifier } from '../../evidence/log/note.ts';
import { noteBytes, readIfThere } from '../../evidence/regular-file.ts';
import { AuditError } from './source.ts';

/** Origin that the checkpoint in this evidence claims; null when there is no readable one. */
export async function claimedOrigin(evidence: Location): Promise<string | null> {
  try {
    const checkpoint = await readIfThere(within(evidence, 'log/checkpoint'), noteBytes);
    return checkpoint === null ? null : parseCheckpoint(parseNote(checkpoint).text).origin;
  } catch {
    return null; // `verify` says what is wrong with it
  }
}

/**
 * The key that was pinned for the log that this evidence claims to be of.
 * @param relay only keys pinned for it; null: for any relay that was signed in to
 * @throws AuditError `vkey-unknown`
 */
export async function pinnedKey(evidence: Location, relay: string | null): Promise<string> {
  const { relays } = await new SettingsFile(directories().config).read();
  const known = relay === null ? Object.values(relays) : [relays[relay]];
  const origin = await claimedOrigin(evidence);
  const found = origin === null ? undefined : known.find((each) => each?.logs[origin] !== undefined);
  const key = found?.logs[origin!] ?? Object.values(known.find((each) => each !== undefined)?.logs ?? {})[0];
  if (key !== undefined && (found !== undefined || relay !== null)) return key;
  throw new AuditError('vkey-unknown', 'there is no key to verify this log with', {
    hint: 'name it with --vkey or --vkey-file; get it from the relay’s operator, not from whoever sent the files',
  });
}

/** The key that a policy of logs and witnesses names for this evidence; null when it names none. */
export async function logOfPolicy(
  directory: Location,
  logs: readonly NoteVerifier[],
): Promise<string | null> {
  const origin = await claimedOrigin(directory);
  return logs.find(({ name }) => name === origin)?.toString() ?? null;
}
