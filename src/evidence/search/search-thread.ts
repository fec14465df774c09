/** A thread that searches recordings, one session after the other, and waits after each find until it was taken. */
import { Worker } from 'node:worker_threads';
import { EvidenceError, type EvidenceErrorCode } from '../error.ts';
import type { SearchPattern } from './matcher.ts';
import type { SearchChoice, SearchMatch } from './session-search.ts';

/** What all threads of a search have in common. */
export interface SearchRequest extends SearchPattern, SearchChoice {
  /** `low`: gives way to everything else that the machine has to do. */
  readonly priority: 'low' | 'normal';
}

/** One session. */
export interface SearchJob {
  /** Of its recording. */
  readonly directory: string;
  /** Segments that should be there. */
  readonly segments: number;
  /** Those that are not may be asked for. */
  readonly elsewhere: boolean;
  /** Microseconds since `session.opened`; what is found outside is left out. */
  readonly fromMicros: number;
  readonly toMicros: number;
}

/** Read and searched, before compression; of a recording that cannot be read any further, why. */
export interface SearchDone {
  readonly missing: number;
  readonly failure: string | null;
}

export type SearchAnswer =
  | { readonly kind: 'read'; readonly rawBytes: number }
  /** Nothing more comes until `next` is asked for. */
  | { readonly kind: 'found'; readonly matches: readonly SearchMatch[] }
  /** A segment that is not there; nothing more comes until it is given. */
  | { readonly kind: 'wanted'; readonly segment: number }
  | ({ readonly kind: 'done' } & SearchDone)
  /** The search as a whole cannot go on. */
  | { readonly kind: 'failed'; readonly code: EvidenceErrorCode | null; readonly message: string };

export type SearchQuestion = SearchJob | 'next' | GivenSegment;

/** As it is stored; null: it is nowhere. */
export interface GivenSegment {
  readonly stored: Uint8Array | null;
}

export interface SearchListener {
  read(rawBytes: number): void;
  /** @param taken call it when more may come */
  found(matches: readonly SearchMatch[], taken: () => void): void;
  /** @returns as it is stored; null: it is nowhere */
  wanted(segment: number): Promise<Buffer | null>;
  done(done: SearchDone): void;
  failed(error: Error): void;
}

export class SearchThread {
  readonly #worker: Worker;
  #listener: SearchListener | null = null;

  constructor(request: SearchRequest) {
    this.#worker = new Worker(new URL('./search-worker.ts', import.meta.url), { workerData: request });
    this.#worker.on('message', (answer: SearchAnswer) => this.#take(answer));
    this.#worker.on('error', (cause) => this.#listener?.failed(cause));
    this.#worker.on('exit', () => this.#listener?.failed(new Error('the searching thread ended')));
  }

  /** When the one before is done. */
  start(job: SearchJob, listener: SearchListener): void {
    this.#listener = listener;
    this.#ask(job);
  }

  async end(): Promise<void> {
    this.#listener = null;
    await this.#worker.terminate();
  }

  #ask(question: SearchQuestion): void {
    this.#worker.postMessage(question, []);
  }

  #take(answer: SearchAnswer): void {
    const listener = this.#listener;
    switch (answer.kind) {
      case 'read':
        listener?.read(answer.rawBytes);
        return;
      case 'found':
        listener?.found(answer.matches, () => this.#ask('next'));
        return;
      case 'wanted':
        listener?.wanted(answer.segment).then(
          (stored) => this.#ask({ stored }),
          (error: unknown) => listener.failed(error instanceof Error ? error : new Error(String(error))),
        );
        return;
      case 'done':
        this.#listener = null;
        listener?.done(answer);
        return;
      case 'failed': {
        const { code, message } = answer;
        listener?.failed(code === null ? new Error(message) : new EvidenceError(code, message));
      }
    }
  }
}
