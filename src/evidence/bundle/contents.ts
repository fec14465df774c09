/** What of a record belongs to an export: it follows from the signed checkpoint and the entries under it alone. */
import { isAct, sessionOf } from '../entry.ts';
import type { Location } from '../location.ts';
import { handoverPath } from '../log/handover.ts';
import { parseTilePath, splitBundle, frameEntry, tilePath, tileWidth } from '../log/tile.ts';
import { hashBytes } from '../log/tlog.ts';
import { keySetPath, proofPaths, proofsOf } from '../logins/layout.ts';
import { readEntries } from '../read/entries.ts';
import { segmentPaths } from '../read/files.ts';

/**
 * Paths of segments and sealed originals, in order of the log.
 * @param chosen sessions; null: all
 */
export async function* segmentsOf(
  evidence: Location,
  chosen: ReadonlySet<string> | null,
): AsyncGenerator<string> {
  const opened = new Map<string, string>();
  for await (const { entry } of readEntries(evidence)) {
    if (entry.kind === 'session.opened' && chosen?.has(entry.session) !== false)
      opened.set(entry.session, entry.time);
    else if (entry.kind === 'session.closed') opened.delete(entry.session);
    else if (entry.kind === 'segment') {
      const openedAt = opened.get(entry.session);
      if (openedAt !== undefined) yield* segmentPaths(openedAt, entry);
    }
  }
}

/** How the log's key was handed over, by the entries that say so. */
export async function* handoversOf(evidence: Location): AsyncGenerator<string> {
  for await (const { entry } of readEntries(evidence))
    if (entry.kind === 'log.key-rotated') yield `log/${handoverPath(entry.from)}`;
}

/** Names of what witnesses have said, one a line. */
export const witnessedList = 'log/witnessed';

/**
 * What witnesses have said of the log, by a list of any origin. To be fetched before the checkpoint: a witness never vouches
 * for more than the checkpoint that is published, and a statement about a larger tree would show a log that was rolled back.
 */
export async function* witnessedOf(whole: (file: string) => Promise<Buffer | null>): AsyncGenerator<string> {
  const names = (await whole(witnessedList))?.toString().split('\n') ?? [];
  for (const name of names) if (/^[0-9a-f]{64}$/.test(name)) yield `${witnessedList}/${name}`;
}

/**
 * For each sign-in under which somebody acted, where its proofs can be; and key sets that no entry has room for.
 * @param chosen only who acted in these sessions; null: whoever acted
 */
export async function* proofsOfActors(
  evidence: Location,
  chosen: ReadonlySet<string> | null,
): AsyncGenerator<readonly string[]> {
  const acting = new Set<string>();
  for await (const { entry } of readEntries(evidence))
    if (isAct(entry) && entry.login !== undefined)
      if (chosen === null || chosen.has(sessionOf(entry) ?? '')) acting.add(entry.login);
  const named = new Set<string>();
  for await (const { entry } of readEntries(evidence)) {
    if (entry.kind === 'issuer.keys' && entry.jwks === null && !named.has(entry.jwksDigest)) {
      named.add(entry.jwksDigest);
      yield [keySetPath(entry.jwksDigest)];
    }
    if (entry.kind !== 'login' || !acting.has(entry.login)) continue;
    for (const proof of proofsOf(entry)) {
      if (named.has(proof.digest)) continue;
      named.add(proof.digest);
      yield proofPaths(entry.time, proof);
    }
  }
}

/**
 * A tile or bundle of exactly the width that its name says. A partial one goes away once it is full; its content is the
 * beginning of the full one.
 * @param read null when there is no such file below the log's directory
 */
export async function readTile(
  read: (name: string) => Promise<Buffer | null>,
  tile: string,
): Promise<Buffer | null> {
  const bytes = await read(tile);
  const { level, n, width } = parseTilePath(tile)!;
  if (bytes !== null || width === tileWidth) return bytes;
  const full = await read(tilePath(level, n));
  if (full === null) return null;
  if (level !== 'entries') return full.subarray(0, width * hashBytes);
  return Buffer.concat(splitBundle(full, tileWidth).slice(0, width).map(frameEntry));
}
