/**
 * Copies a relay's evidence into a directory that can be verified without it. What to fetch follows from the signed
 * checkpoint and the entries under it, not from a list that the relay makes up; what is missing stays missing, for
 * `verify` to name.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { buffer } from 'node:stream/consumers';
import { RelayProblem } from '../../agent/problem.ts';
import type { RelayClient } from '../../agent/relay-client.ts';
import { parseCheckpoint } from '../../evidence/log/checkpoint.ts';
import { handoverPath } from '../../evidence/log/handover.ts';
import { parseNote } from '../../evidence/log/note.ts';
import { parseTilePath, splitBundle, frameEntry, tilePath, tileWidth } from '../../evidence/log/tile.ts';
import { hashBytes } from '../../evidence/log/tlog.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import { segmentPaths, tilesOf } from '../../evidence/read/files.ts';

const parallel = 8;

export interface Downloaded {
  readonly entries: number;
  readonly segments: number;
}

/**
 * @param directory new or empty
 * @param choose asked when the log is there: sessions whose recordings are fetched, null for all
 */
export async function downloadEvidence(
  client: RelayClient,
  directory: string,
  choose: () => Promise<ReadonlySet<string> | null>,
): Promise<Downloaded> {
  const checkpoint = await fetchWhole(client, '/log/checkpoint');
  await store(path.join(directory, 'log', 'checkpoint'), checkpoint ?? Buffer.alloc(0));
  const { size } = parseCheckpoint(parseNote(checkpoint ?? Buffer.alloc(0)).text);
  await each(tilesOf(size), (tile) => fetchTile(client, path.join(directory, 'log'), tile));
  await each(proofsOf(client, directory), (file) => fetchProof(client, path.join(directory, 'log'), file));
  const chosen = await choose();
  let segments = 0;
  await each(segmentsOf(directory, chosen), async (file) => {
    const from = `/v1/audit/file?path=${encodeURIComponent(file)}`;
    if ((await fetchFile(client, from, path.join(directory, file))) && file.endsWith('.zst')) segments++;
  });
  return { entries: size, segments };
}

/** How the log's key was handed over, by the entries that say so; what witnesses said, by the relay's list. */
async function* proofsOf(client: RelayClient, directory: string): AsyncGenerator<string> {
  for await (const { entry } of readEntries(directory))
    if (entry.kind === 'log.key-rotated') yield handoverPath(entry.from);
  const witnessed = (await fetchWhole(client, '/log/witnessed'))?.toString().split('\n') ?? [];
  for (const name of witnessed) if (/^[0-9a-f]{64}$/.test(name)) yield `witnessed/${name}`;
}

async function fetchProof(client: RelayClient, directory: string, file: string): Promise<void> {
  const bytes = await fetchWhole(client, `/log/${file}`);
  if (bytes !== null) await store(path.join(directory, file), bytes);
}

async function* segmentsOf(directory: string, chosen: ReadonlySet<string> | null): AsyncGenerator<string> {
  const opened = new Map<string, string>();
  for await (const { entry } of readEntries(directory)) {
    if (entry.kind === 'session.opened' && chosen?.has(entry.session) !== false)
      opened.set(entry.session, entry.time);
    else if (entry.kind === 'session.closed') opened.delete(entry.session);
    else if (entry.kind === 'segment') {
      const openedAt = opened.get(entry.session);
      if (openedAt !== undefined) yield* segmentPaths(openedAt, entry);
    }
  }
}

/** A partial tile goes away once it is full; its content is the beginning of the full one. */
async function fetchTile(client: RelayClient, directory: string, tile: string): Promise<void> {
  let bytes = await fetchWhole(client, `/log/${tile}`);
  const { level, n, width } = parseTilePath(tile)!;
  if (bytes === null && width < tileWidth) {
    const full = await fetchWhole(client, `/log/${tilePath(level, n)}`);
    if (full !== null && level !== 'entries') bytes = full.subarray(0, width * hashBytes);
    else if (full !== null)
      bytes = Buffer.concat(splitBundle(full, tileWidth).slice(0, width).map(frameEntry));
  }
  if (bytes !== null) await store(path.join(directory, tile), bytes);
}

async function store(file: string, bytes: Buffer): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, bytes);
}

/** Null when the relay has no such file. */
async function fetchWhole(client: RelayClient, from: string): Promise<Buffer | null> {
  try {
    return await buffer(await client.stream(from));
  } catch (error) {
    if (error instanceof RelayProblem && error.status === 404) return null;
    throw error;
  }
}

/** False when the relay has no such file. */
async function fetchFile(client: RelayClient, from: string, file: string): Promise<boolean> {
  await mkdir(path.dirname(file), { recursive: true });
  try {
    await pipeline(await client.stream(from), createWriteStream(file));
    return true;
  } catch (error) {
    await rm(file, { force: true });
    if (error instanceof RelayProblem && error.status === 404) return false;
    throw error;
  }
}

/** Works on a few items at a time, in order of their beginning; the first failure ends it, when nothing is under way any more. */
async function each<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  try {
    for await (const item of items) {
      const task: Promise<void> = work(item).finally(() => running.delete(task));
      running.add(task);
      if (running.size >= parallel) await Promise.race(running);
    }
    await Promise.all(running);
  } finally {
    // Whoever clears up after a failure must not meet a file that is still being written.
    await Promise.allSettled(running);
  }
}
