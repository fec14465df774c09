/** The thread that `search-thread.ts` starts: reads, decompresses and searches, all of it here. */
import os from 'node:os';
import { once } from 'node:events';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';
import { EvidenceError } from '../error.ts';
import { largestSegmentBytes, loadSegment, segmentsIn } from '../read/segment-cursor.ts';
import { compileMatcher, type Matcher } from './matcher.ts';
import type {
  GivenSegment,
  SearchAnswer,
  SearchJob,
  SearchQuestion,
  SearchRequest,
} from './search-thread.ts';
import { SessionSearch } from './session-search.ts';

/** In this thread: the pool's are the data path's. A segment is of this size or less, so that one piece is enough. */
const inflate = (stored: Buffer): Buffer =>
  zstdDecompressSync(stored, { maxOutputLength: largestSegmentBytes, chunkSize: chunkOf(stored) });

/** Room for what a frame says that it holds, within reason (RFC 8878, 3.1.1.1). */
function chunkOf(stored: Buffer): number {
  const [least, most] = [64 * 1024, 2 * 1024 * 1024];
  if (stored.length < 14) return least;
  const descriptor = stored[4]!;
  const flag = descriptor >>> 6;
  const single = (descriptor & 0x20) !== 0;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (flag === 0 && !single) return least;
  const size =
    flag === 0
      ? stored[at]!
      : flag === 1
        ? stored.readUInt16LE(at) + 256
        : flag === 2
          ? stored.readUInt32LE(at)
          : most;
  return Math.min(most, Math.max(least, size + 1));
}

/** Of this thread alone (Linux). A process that may not lower itself searches all the same. */
function yieldToOthers(): void {
  try {
    os.setPriority(os.constants.priority.PRIORITY_LOW);
  } catch {
    // It only costs speed.
  }
}

const { priority, ...request } = workerData as SearchRequest;

async function search(port: MessagePort, matcher: Matcher, job: SearchJob): Promise<void> {
  const tell = (answer: SearchAnswer): void => port.postMessage(answer, []);
  const session = new SessionSearch(matcher, request);
  const found = async (all: ReturnType<SessionSearch['end']>): Promise<void> => {
    const matches = all.filter(({ t }) => t >= job.fromMicros && t < job.toMicros);
    if (matches.length === 0) return;
    const next = once(port, 'message');
    tell({ kind: 'found', matches });
    await next;
  };
  const elsewhere = async (segment: number): Promise<Buffer | null> => {
    if (!job.elsewhere) return null;
    const given = once(port, 'message');
    tell({ kind: 'wanted', segment });
    const [{ stored }] = (await given) as [GivenSegment];
    return stored === null ? null : inflate(Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength));
  };
  const present = await segmentsIn(job.directory);
  const expected = Array.from({ length: job.segments }, (_, index) => index);
  let missing = 0;
  let failure: string | null = null;
  try {
    for (const index of [...new Set([...present, ...expected])].toSorted((a, b) => a - b)) {
      const bytes = (await loadSegment(job.directory, index, inflate))?.bytes ?? (await elsewhere(index));
      if (bytes === null) {
        missing++;
        continue;
      }
      const matches = session.segment(bytes);
      tell({ kind: 'read', rawBytes: bytes.length });
      await found(matches);
    }
    await found(session.end());
  } catch (error) {
    if (error instanceof EvidenceError && error.code === 'search-pattern-invalid') throw error;
    // What was found before stands; that there is more is told.
    failure = error instanceof EvidenceError ? error.code : 'recording-damaged';
    await found(session.end());
  }
  tell({ kind: 'done', missing, failure });
}

async function answerAll(port: MessagePort): Promise<void> {
  if (priority === 'low') yieldToOthers();
  try {
    const matcher = compileMatcher(request);
    for (;;) {
      const [question] = (await once(port, 'message')) as [SearchQuestion];
      if (question !== 'next' && 'directory' in question) await search(port, matcher, question);
    }
  } catch (error) {
    const code = error instanceof EvidenceError ? error.code : null;
    const message = error instanceof Error ? error.message : String(error);
    port.postMessage({ kind: 'failed', code, message } satisfies SearchAnswer, []);
  }
}

if (parentPort !== null) await answerAll(parentPort);
