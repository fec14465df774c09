/**
 * Compresses segments in threads of their own, one file after the other: `low` gives way to everything else that the
 * machine has to do, `normal` does not. Only the machine's scheduler knows when there is time to spare, so it is
 * the one that decides.
 */
import { Worker } from 'node:worker_threads';
import { EvidenceError } from '../error.ts';
import type { SegmentSecrets } from './originals.ts';

/** `low`: while the processor is busy, it hardly runs. */
export type CompressionPriority = 'low' | 'normal';

/** The first `length` bytes of a file, and what is left out of them. */
export interface CompressionSource {
  readonly file: string;
  readonly length: number;
}

/** What of the source holds originals: it goes, encrypted to the auditors, into a file of its own. */
export interface OriginalsRequest extends SegmentSecrets {
  /** Start and end, in turn. */
  readonly ranges: readonly number[];
  /** Descriptor of an empty file. */
  readonly into: number;
}

export interface CompressionRequest {
  readonly from: CompressionSource;
  /** Descriptor of an empty file. */
  readonly into: number;
  readonly originals: OriginalsRequest | null;
}

export interface CompressedFile {
  /** Of the stored file, hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  /** Before compression, without originals. */
  readonly rawBytes: number;
  /** SHA-256 of the file of the originals; null when there is none. */
  readonly sealed: string | null;
  /** SHA-256 of what that file holds, before encryption. */
  readonly originals: string | null;
}

export type CompressionAnswer = CompressedFile | { readonly code: string | null; readonly message: string };

class CompressionThread {
  readonly #priority: CompressionPriority;
  #worker: Worker | null = null;
  /** In the order of the requests, which is that of the answers. */
  #waiting: PromiseWithResolvers<CompressedFile>[] = [];

  constructor(priority: CompressionPriority) {
    this.#priority = priority;
  }

  run(request: CompressionRequest): Promise<CompressedFile> {
    const worker = (this.#worker ??= this.#start());
    const result = Promise.withResolvers<CompressedFile>();
    this.#waiting.push(result);
    worker.ref();
    worker.postMessage(request, []);
    return result.promise;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./compression-worker.ts', import.meta.url), {
      workerData: this.#priority,
    });
    worker.on('message', (answer: CompressionAnswer) => {
      const result = this.#waiting.shift();
      // A program may end while nothing is being compressed.
      if (this.#waiting.length === 0) worker.unref();
      if ('sha256' in answer) result?.resolve(answer);
      else result?.reject(failure(answer));
    });
    const gone = (cause: unknown): void => {
      if (this.#worker === worker) this.#worker = null;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const { reject } of waiting) reject(new Error('the compressing thread ended', { cause }));
    };
    worker.on('error', gone);
    worker.on('exit', gone);
    return worker;
  }
}

const threads: Readonly<Record<CompressionPriority, CompressionThread>> = {
  low: new CompressionThread('low'),
  normal: new CompressionThread('normal'),
};

/**
 * Writes `from` into an empty file as one zstd frame with content size and checksum, and its originals into another; their
 * content is on disk when this resolves. The caller keeps the files open until then.
 * @throws EvidenceError `recording-damaged` when the source is shorter than `length`; the system call's error
 */
export function compress(
  request: CompressionRequest,
  priority: CompressionPriority,
): Promise<CompressedFile> {
  return threads[priority].run(request);
}

function failure({ code, message }: { readonly code: string | null; readonly message: string }): Error {
  if (code === 'recording-damaged')
    return new EvidenceError('recording-damaged', 'An open segment is shorter than what was written to it.');
  return Object.assign(new Error(message), code === null ? {} : { code });
}
