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
import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { relayActor, type Entry, type EntryOf, type NewEntry, type SessionTotals } from '../entry.ts';
import { syncDirectory } from './group-sync.ts';
import { openName, parseName, sealedName, sessionDirectory, unfinishedName } from './layout.ts';
import { measureSegment } from './records.ts';
import { publish, removeOpen, write } from './sealed-file.ts';

export interface InterruptedSession {
  readonly opened: EntryOf<'session.opened'>;
  readonly lastSegment: number | null;
  readonly totals: SessionTotals;
}

export interface Recovery {
  readonly sessions: readonly InterruptedSession[];
  /** Segments that were found open and sealed. */
  readonly segments: number;
  readonly recordingBytesCut: number;
}

export interface RecoverOptions {
  /** The evidence directory. */
  readonly directory: string;
  /** All entries of this process's log, in order. */
  readonly entries: AsyncIterable<Entry> | Iterable<Entry>;
  /** Resolves when the entry is durable. */
  readonly append: (entry: NewEntry) => Promise<unknown>;
}

interface Unfinished {
  readonly opened: EntryOf<'session.opened'>;
  /** Digests of the segments that the log names. */
  readonly segments: Map<number, string>;
  readonly totals: { -readonly [K in keyof SessionTotals]: SessionTotals[K] };
}

/** @throws Error of a system call or of `append`: the relay must not start then */
export async function recover(options: RecoverOptions): Promise<Recovery> {
  const unfinished = await unfinishedSessions(options.entries);
  let [segments, recordingBytesCut] = [0, 0];
  for (const session of unfinished.values()) {
    const found = await recoverSession(options, session);
    segments += found.segments;
    recordingBytesCut += found.bytesCut;
  }
  const sessions = [...unfinished.values()].map(({ opened, segments: logged, totals }) => ({
    opened,
    lastSegment: logged.size === 0 ? null : Math.max(...logged.keys()),
    totals,
  }));
  return { sessions, segments, recordingBytesCut };
}

/** What the relay appends after recovery, in this order; nothing when the run before closed everything. */
export function recoveryEntries(recovery: Recovery, logBytesCut: number): NewEntry[] {
  const { sessions, segments, recordingBytesCut } = recovery;
  if (sessions.length === 0 && logBytesCut === 0) return [];
  const closed = sessions.map(({ opened: { session }, lastSegment, totals }): NewEntry => {
    return {
      kind: 'session.closed',
      actor: relayActor,
      session,
      outcome: 'interrupted',
      lastSegment,
      totals,
    };
  });
  const named = sessions.slice(0, 1000).map(({ opened }) => opened.session);
  const counts = { sessionCount: sessions.length, segments, logBytesCut, recordingBytesCut };
  return [...closed, { kind: 'relay.recovered', actor: relayActor, sessions: named, ...counts }];
}

async function unfinishedSessions(entries: RecoverOptions['entries']): Promise<Map<string, Unfinished>> {
  const unfinished = new Map<string, Unfinished>();
  for await (const entry of entries) {
    if (entry.kind === 'session.opened') {
      const totals = { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 };
      unfinished.set(entry.session, { opened: entry, segments: new Map(), totals });
    } else if (entry.kind === 'session.closed') {
      unfinished.delete(entry.session);
    } else if (entry.kind === 'segment') {
      const session = unfinished.get(entry.session);
      if (session !== undefined) count(session, entry);
    }
  }
  return unfinished;
}

type Counted = Pick<
  EntryOf<'segment'>,
  'index' | 'sha256' | 'bytes' | 'rawBytes' | 'commands' | 'redactions'
>;

function count(session: Unfinished, segment: Counted): void {
  session.segments.set(segment.index, segment.sha256);
  session.totals.segments++;
  for (const sum of ['commands', 'bytes', 'rawBytes', 'redactions'] as const)
    session.totals[sum] += segment[sum];
}

async function recoverSession(
  options: RecoverOptions,
  session: Unfinished,
): Promise<{ segments: number; bytesCut: number }> {
  const { opened } = session;
  const directory = sessionDirectory(options.directory, Date.parse(opened.time), opened.session);
  const files = (await filesOf(directory)).map(parseName).filter((file) => file !== null);
  let [segments, bytesCut] = [0, 0];
  for (const { index } of files.filter(({ state }) => state === 'unfinished'))
    await rm(path.join(directory, unfinishedName(index)), { force: true });
  const open = files.filter(({ state }) => state === 'open').map(({ index }) => index);
  for (const index of open.toSorted((a, b) => a - b)) {
    const logged = session.segments.get(index);
    if (logged !== undefined) {
      if ((await digestOf(path.join(directory, sealedName(index)))) === logged)
        await removeOpen(directory, index);
      continue;
    }
    const found = await sealAsFound(options, session, { directory, index });
    bytesCut += found.bytesCut;
    if (found.sealed) segments++;
  }
  return { segments, bytesCut };
}

async function sealAsFound(
  options: RecoverOptions,
  session: Unfinished,
  { directory, index }: { directory: string; index: number },
): Promise<{ sealed: boolean; bytesCut: number }> {
  const raw = await readFile(path.join(directory, openName(index)));
  const { length, header, firstMicros, lastMicros, commands } = measureSegment(raw);
  if (header === null) {
    // Not one whole record: its first flush had not returned.
    await removeOpen(directory, index);
    return { sealed: false, bytesCut: raw.length };
  }
  const name = session.opened.session;
  if (header.session !== name || header.index !== index) return { sealed: false, bytesCut: 0 };
  const file = await write(directory, index, raw.subarray(0, length));
  await publish(directory, index);
  await syncDirectory(directory);
  const segment = { index, ...file, rawBytes: length, firstMicros, lastMicros, commands, redactions: 0 };
  await options.append({ kind: 'segment', actor: relayActor, session: name, sealed: null, ...segment });
  count(session, segment);
  await removeOpen(directory, index);
  return { sealed: true, bytesCut: raw.length - length };
}

async function filesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []; // killed before its first flush
    throw error;
  }
}

/** Null when there is no such file. */
async function digestOf(file: string): Promise<string | null> {
  try {
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
