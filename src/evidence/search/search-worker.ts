/** The thread that `search-thread.ts` starts: reads, decompresses and searches, all of it here. */
import os from 'node:os';
import { once } from 'node:events';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { EvidenceError } from '../error.ts';
import { decompressHere } from '../read/decompress.ts';
import { loadSegment, segmentsIn } from '../read/segment-cursor.ts';
import { compileMatcher, type Matcher } from './matcher.ts';
import type {
  GivenSegment,
  SearchAnswer,
  SearchJob,
  SearchQuestion,
  SearchRequest,
} from './search-thread.ts';
import { SessionSearch } from './session-search.ts';

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
    return stored === null
      ? null
      : decompressHere(Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength));
  };
  const present = await segmentsIn(job.directory);
  const expected = Array.from({ length: job.segments }, (_, index) => index);
  let missing = 0;
  let failure: string | null = null;
  try {
    // Decompressed here: the pool's threads are the data path's.
    for (const index of [...new Set([...present, ...expected])].toSorted((a, b) => a - b)) {
      const bytes =
        (await loadSegment(job.directory, index, decompressHere))?.bytes ?? (await elsewhere(index));
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
