/**
 * The thread in which segments are sealed: reads, takes originals out and encrypts them, compresses, writes, syncs and
 * hashes one after the other.
 * Started by `compression.ts`; a thread of its own, because it may be given a lower priority than the data path and
 * because its megabytes of buffers would make the data path's heap be collected again and again.
 */
import { hash } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import os from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { constants, zstdCompressSync } from 'node:zlib';
import { encryptAge, parseRecipient, type AgeRecipient } from './age.ts';
import type { CompressionAnswer, CompressionRequest, OriginalsRequest } from './compression.ts';
import { saltItem, takeOriginals } from './original-records.ts';

/** zstd's fast end: sealing competes with the data path for processor time. */
const level = 1;

/** Grows to the longest segment seen. */
let memory: Buffer = Buffer.alloc(0);

/** Of this thread alone (Linux). A process that may not lower itself seals all the same. */
function yieldToOthers(): void {
  try {
    os.setPriority(os.constants.priority.PRIORITY_LOW);
  } catch {
    // It only costs speed.
  }
}

function readStart(file: string, length: number): Buffer {
  if (memory.length < length) memory = Buffer.allocUnsafeSlow(length);
  const fd = openSync(file, 'r');
  try {
    let filled = 0;
    while (filled < length) {
      const count = readSync(fd, memory, filled, length - filled, filled);
      if (count === 0) throw new ShorterThanWritten('an open segment is shorter than what was written to it');
      filled += count;
    }
  } finally {
    closeSync(fd);
  }
  return memory.subarray(0, length);
}

class ShorterThanWritten extends Error {
  readonly code = 'recording-damaged';
}

/** One frame, with content size and checksum. */
function compress(raw: Buffer): Buffer {
  return zstdCompressSync(raw, {
    // The worst case of zstd, so that one piece is enough.
    chunkSize: raw.length + (raw.length >>> 8) + 1024,
    pledgedSrcSize: raw.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 1,
    },
  });
}

function store(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
  fdatasyncSync(fd);
}

/** The auditors of a relay do not change while it runs. */
const recipients = new Map<string, AgeRecipient>();

function recipient(text: string): AgeRecipient {
  const known = recipients.get(text) ?? parseRecipient(text);
  if (known === null) throw new Error('not an age recipient');
  recipients.set(text, known);
  return known;
}

interface SealedOriginals {
  /** The segment without them. */
  readonly segment: Buffer;
  /** SHA-256 of the file that has them, and of what is in it. */
  readonly sealed: string;
  readonly originals: string;
}

function sealOriginals(raw: Buffer, request: OriginalsRequest): SealedOriginals {
  const taken = takeOriginals(raw, request.ranges, request);
  const originals = Buffer.concat([saltItem(), taken.originals]);
  const age = encryptAge(request.recipients.map(recipient), originals);
  store(request.into, age);
  return {
    segment: taken.segment,
    sealed: hash('sha256', age, 'hex'),
    originals: hash('sha256', originals, 'hex'),
  };
}

function answer({ from, into, originals }: CompressionRequest): CompressionAnswer {
  try {
    const raw = readStart(from.file, from.length);
    const { segment, ...digests } =
      originals === null ? { segment: raw, sealed: null, originals: null } : sealOriginals(raw, originals);
    const compressed = compress(segment);
    store(into, compressed);
    const sha256 = hash('sha256', compressed, 'hex');
    return { sha256, bytes: compressed.length, rawBytes: segment.length, ...digests };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null;
    return { code, message: error instanceof Error ? error.message : String(error) };
  }
}

if (workerData === 'low') yieldToOthers();
parentPort?.on('message', (request: CompressionRequest) => parentPort?.postMessage(answer(request), []));
