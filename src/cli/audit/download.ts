/**
 * Copies a relay's evidence into a directory that can be verified without it. What to fetch follows from the signed
 * checkpoint and the entries under it, not from a list that the relay makes up; what is missing stays missing, for
 * `verify` to name.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { buffer } from 'node:stream/consumers';
import { RelayProblem } from '../../agent/problem.ts';
import { EvidenceClient, type EvidenceAccount } from '../../agent/evidence-client.ts';
import {
  handoversOf,
  proofsOfActors,
  readTile,
  segmentsOf,
  witnessedOf,
} from '../../evidence/bundle/contents.ts';
import { parseCheckpoint } from '../../evidence/log/checkpoint.ts';
import { parseNote } from '../../evidence/log/note.ts';
import { parseEvidencePath, tilesOf } from '../../evidence/read/files.ts';

const parallel = 8;

export interface Downloaded {
  readonly entries: number;
  readonly segments: number;
}

export interface DownloadOptions {
  /** Asked when the log is there: sessions whose recordings are fetched, null for all. */
  readonly choose: () => Promise<ReadonlySet<string> | null>;
  /** Also what proves the sign-ins of whoever acted in those sessions, or anywhere. */
  readonly proofs: boolean;
}

/** @param directory new or empty */
export async function downloadEvidence(
  account: EvidenceAccount,
  directory: string,
  { choose, proofs }: DownloadOptions,
): Promise<Downloaded> {
  const files = new RelayFiles(account);
  await each(
    witnessedOf((name) => files.whole(name)),
    async (file) => {
      await fetchFile(files, file, directory);
    },
  );
  const checkpoint = (await files.whole('log/checkpoint')) ?? Buffer.alloc(0);
  await store(path.join(directory, 'log', 'checkpoint'), checkpoint);
  const { size } = parseCheckpoint(parseNote(checkpoint).text);
  await each(tilesOf(size), (tile) => fetchTile(files, path.join(directory, 'log'), tile));
  await each(handoversOf(directory), async (file) => {
    await fetchFile(files, file, directory);
  });
  const chosen = await choose();
  let segments = 0;
  await each(segmentsOf(directory, chosen), async (file) => {
    if ((await fetchFile(files, file, directory)) && file.endsWith('.zst')) segments++;
  });
  if (proofs)
    await each(proofsOfActors(directory, chosen), async (places) => {
      for (const place of places) if (await fetchFile(files, place, directory)) break;
    });
  return { entries: size, segments };
}

/** The relay's files, each by the way that serves it. */
export class RelayFiles {
  readonly #account: EvidenceAccount;
  readonly #evidence: EvidenceClient;
  readonly #signal: AbortSignal | undefined;

  /** @param signal ends what is under way */
  constructor(account: EvidenceAccount, signal?: AbortSignal) {
    this.#account = account;
    this.#signal = signal;
    this.#evidence = new EvidenceClient(account);
  }

  /** Null when the relay has no such file. @param file path below the evidence directory */
  async open(file: string): Promise<Readable | null> {
    try {
      return await this.#open(file);
    } catch (error) {
      if (error instanceof RelayProblem && error.status === 404) return null;
      throw error;
    }
  }

  async whole(file: string): Promise<Buffer | null> {
    const body = await this.open(file);
    return body === null ? null : buffer(body);
  }

  #open(file: string): Promise<Readable> {
    const ofLog = file.startsWith('log/');
    // Checkpoint and hashes are public.
    if (ofLog && !file.startsWith('log/tile/entries/'))
      return this.#account.client.stream(`/${file}`, { signal: this.#signal });
    const session = parseEvidencePath(file)?.session ?? null;
    const call = {
      path: ofLog ? `/${file}` : `/v1/audit/file?path=${encodeURIComponent(file)}`,
      action: 'files',
      asked: session === null ? {} : { session },
    } as const;
    return this.#evidence.stream(call, this.#signal);
  }
}

async function fetchTile(files: RelayFiles, directory: string, tile: string): Promise<void> {
  const bytes = await readTile((name) => files.whole(`log/${name}`), tile);
  if (bytes !== null) await store(path.join(directory, tile), bytes);
}

async function store(file: string, bytes: Buffer): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, bytes);
}

/** False when the relay has no such file. */
async function fetchFile(files: RelayFiles, from: string, directory: string): Promise<boolean> {
  const body = await files.open(from);
  if (body === null) return false;
  const file = path.join(directory, from);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    await pipeline(body, createWriteStream(file, { mode: 0o600 }));
    return true;
  } catch (error) {
    await rm(file, { force: true });
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
