/**
 * The thread in which segments are compressed: reads, compresses, writes, syncs and hashes one after the other.
 * Started by `compression.ts`; a thread of its own, because it may be given a lower priority than the data path and
 * because its megabytes of buffers would make the data path's heap be collected again and again.
 */
import { hash } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import os from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { constants, zstdCompressSync } from 'node:zlib';
import type { CompressionAnswer, CompressionRequest } from './compression.ts';

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
function compress(raw: Uint8Array): Buffer {
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

function answer({ from, into }: CompressionRequest): CompressionAnswer {
  try {
    const raw = from instanceof Uint8Array ? from : readStart(from.file, from.length);
    const compressed = compress(raw);
    store(into, compressed);
    return { sha256: hash('sha256', compressed, 'hex'), bytes: compressed.length };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null;
    return { code, message: error instanceof Error ? error.message : String(error) };
  }
}

if (workerData === 'low') yieldToOthers();
parentPort?.on('message', (request: CompressionRequest) => parentPort?.postMessage(answer(request)));
