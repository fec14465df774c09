/**
 * After a relay was killed: closes the open segments as they are found, commits them to the log, and says which sessions
 * were interrupted. Runs before anything is recorded, under the log's lock; may itself be killed at any instruction and
 * run again (the steps are those of `sealed-file.ts`).
 *
 * Why a torn end may be cut: a flush is written before anything of it is forwarded or delivered, and the file holds whole
 * flushes in order. Bytes that do not form a whole record belong to a write that had not returned, so nothing of that
 * flush went anywhere. (When the machine died, not the relay, `durability: process` has promised only what was synced.)
 *
 * It deliberately never removes what the log does not explain: such a file stays, and `verify` names it.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { hasErrno } from '../../errors.ts';
import { relayActor, type NewEntry } from '../entry.ts';
import { addSegment, type UnfinishedSession } from '../log/read.ts';
import { Batch } from './encode.ts';
import { syncDirectory, syncSegmentNames } from './group-sync.ts';
import {
  openName,
  originalsName,
  parseName,
  sealedName,
  sessionDirectory,
  unfinishedName,
  unfinishedOriginalsName,
} from './layout.ts';
import { withoutOriginals } from './original-records.ts';
import { measureSegment } from './records.ts';
import { appendGap, appendHeader } from './segment-header.ts';
import { publish, removeOpen, write } from './sealed-file.ts';

const decompress = promisify(zstdDecompress);

export interface Recovery {
  /** The sessions that were interrupted, with the segments that recovery sealed. */
  readonly sessions: readonly UnfinishedSession[];
  /** Segments that were found open and sealed. */
  readonly segments: number;
  readonly recordingBytesCut: number;
}

export interface RecoverOptions {
  /** The evidence directory. */
  readonly directory: string;
  /** What the log says (`unfinishedSessions` of `evidence/log`). */
  readonly unfinished: readonly UnfinishedSession[];
  /** Resolves when the entry is durable. */
  readonly append: (entry: NewEntry) => Promise<unknown>;
}

interface Found {
  readonly session: UnfinishedSession;
  readonly segments: number;
  readonly bytesCut: number;
}

/** @throws Error of a system call or of `append`: the relay must not start then */
export async function recover(options: RecoverOptions): Promise<Recovery> {
  const found: Found[] = [];
  for (const session of options.unfinished) found.push(await recoverSession(options, session));
  return {
    sessions: found.map(({ session }) => session),
    segments: found.reduce((sum, { segments }) => sum + segments, 0),
    recordingBytesCut: found.reduce((sum, { bytesCut }) => sum + bytesCut, 0),
  };
}

/** What the relay appends after recovery, in this order; nothing when the run before closed everything. */
export function recoveryEntries(recovery: Recovery, logBytesCut: number): NewEntry[] {
  const { sessions, segments, recordingBytesCut } = recovery;
  if (sessions.length === 0 && logBytesCut === 0) return [];
  const closed = sessions.map(({ session, lastSegment, totals }): NewEntry => {
    return {
      kind: 'session.closed',
      actor: relayActor,
      session,
      outcome: 'interrupted',
      lastSegment,
      totals,
    };
  });
  const named = sessions.slice(0, 1000).map(({ session }) => session);
  const counts = { sessionCount: sessions.length, segments, logBytesCut, recordingBytesCut };
  return [...closed, { kind: 'relay.recovered', actor: relayActor, sessions: named, ...counts }];
}

async function recoverSession(options: RecoverOptions, interrupted: UnfinishedSession): Promise<Found> {
  const openedAtMs = Date.parse(interrupted.openedAt);
  const directory = sessionDirectory(options.directory, openedAtMs, interrupted.session);
  const files = (await filesOf(directory)).map(parseName).filter((file) => file !== null);
  for (const { index } of files.filter(({ state }) => state === 'unfinished'))
    for (const name of [unfinishedName(index), unfinishedOriginalsName(index)])
      await rm(path.join(directory, name), { force: true });
  const open = files.filter(({ state }) => state === 'open').map(({ index }) => index);
  const committed = interrupted.lastSegment ?? -1;
  // Entries of a session's segments are in order: up to `lastSegment` the log has them all.
  for (const index of open)
    if (index <= committed && (await sealedHolds(directory, index))) await removeOpen(directory, index);
  const uncommitted = open.filter((index) => index > committed).toSorted((a, b) => a - b);
  let found: Found = { session: interrupted, segments: 0, bytesCut: 0 };
  for (const index of uncommitted) {
    found = await fillHoles(options, found, { directory, index });
    found = await sealAsFound(options, found, { directory, index });
  }
  // No open file may come back once the session is closed: nobody would look for it any more.
  if (files.length > 0) await syncDirectory(directory);
  return found;
}

/**
 * A lost machine may have taken a segment of which nothing was promised, and left a later one. Numbers stay consecutive: in
 * its place comes one that says that something is missing.
 */
async function fillHoles(
  options: RecoverOptions,
  found: Found,
  { directory, index }: { directory: string; index: number },
): Promise<Found> {
  const { session, protocol, lastSegment } = found.session;
  const { header, firstMicros } = measureSegment(await readFile(path.join(directory, openName(index))));
  if (header === null) return found;
  let filled = found;
  for (let hole = (lastSegment ?? -1) + 1; hole < index; hole++) {
    const batch = new Batch();
    appendHeader(batch, firstMicros, { session, index: hole, protocol, allocated: false });
    appendGap(batch, firstMicros, 'lost with the machine');
    await writeFile(path.join(directory, openName(hole)), batch.bytes(), { mode: 0o600 });
    filled = await sealAsFound(options, filled, { directory, index: hole });
  }
  return filled;
}

async function sealAsFound(
  { append }: RecoverOptions,
  found: Found,
  { directory, index }: { directory: string; index: number },
): Promise<Found> {
  const raw = await readFile(path.join(directory, openName(index)));
  const { length, header, firstMicros, lastMicros, commands, redactions } = measureSegment(raw);
  const bytesCut = found.bytesCut + raw.length - length;
  const { session } = found.session;
  if (header === null) {
    // Not one whole record: its first flush had not returned.
    await removeOpen(directory, index);
    return { ...found, bytesCut };
  }
  if (header.session !== session || header.index !== index) return found;
  // From a sealing that did not come as far as the log. The originals stay in the segment: the key was in memory alone.
  await rm(path.join(directory, originalsName(index)), { force: true });
  const file = await write({ directory, index, length, originals: null }, 'normal');
  await publish(directory, index, file);
  await syncSegmentNames({ directory, index });
  const segment = { index, ...file, firstMicros, lastMicros, commands, redactions };
  await append({ kind: 'segment', actor: relayActor, session, ...segment });
  await removeOpen(directory, index);
  const totals = addSegment(found.session.totals, segment);
  return {
    session: { ...found.session, lastSegment: index, totals },
    segments: found.segments + 1,
    bytesCut,
  };
}

/** Does the sealed file hold all that is whole in the open one? Whether its digest is the log's, `verify` says. */
async function sealedHolds(directory: string, index: number): Promise<boolean> {
  const open = await readFile(path.join(directory, openName(index)));
  try {
    const sealed = await decompress(await readFile(path.join(directory, sealedName(index))));
    const { length } = measureSegment(open);
    if (length <= sealed.length && sealed.equals(open.subarray(0, sealed.length))) return true;
    return withoutOriginals(open.subarray(0, length)).equals(sealed);
  } catch {
    return false; // not there, or not ours: both files stay for people to look at
  }
}

async function filesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []; // killed before its first flush
    throw error;
  }
}
