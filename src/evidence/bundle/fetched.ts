/** Where a bundle's files come from, and how several are fetched at a time while they are written one after another. */
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { listIfThere } from '../location.ts';
import { readIfThere } from '../regular-file.ts';
import { witnessedList } from './contents.ts';

/** A file: as a whole when it is small, else as it comes. */
export type Content = Buffer | AsyncIterable<Uint8Array>;

export interface BundleSource {
  /** Null when it is not there. @param file below the evidence directory */
  open(file: string): Promise<Content | null>;
  /** For files that are small by their kind. `log/witnessed`: names of the files there, one a line, as a relay lists them. */
  whole(file: string): Promise<Buffer | null>;
}

/** Files up to this are held in memory while they wait for their turn. */
export const wholeBytes = 2 * 1024 * 1024;
const ahead = 8;

/** An evidence directory on this machine. */
export class DirectoryFiles implements BundleSource {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(file: string): Promise<Content | null> {
    const bytes = await this.#read(file);
    if (bytes === null || bytes.length <= wholeBytes) return bytes;
    return createReadStream(path.join(this.#directory, file), { highWaterMark: 256 * 1024 });
  }

  async whole(file: string): Promise<Buffer | null> {
    if (file === witnessedList) {
      const listed = await listIfThere(path.join(this.#directory, file));
      return Buffer.from(listed.map(({ name }) => `${name}\n`).join(''));
    }
    return readIfThere(path.join(this.#directory, file), 64 * 1024 * 1024);
  }

  #read(file: string): Promise<Buffer | null> {
    return readIfThere(path.join(this.#directory, file), wholeBytes);
  }
}

/** Results in order of the items; a few are fetched ahead. The first failure ends it when nothing is under way any more. */
export async function* fetchedInOrder<T, U>(
  items: Iterable<T> | AsyncIterable<T>,
  fetch: (item: T) => Promise<U>,
): AsyncGenerator<U> {
  const waiting: Promise<U>[] = [];
  try {
    for await (const item of items) {
      const fetched = fetch(item);
      fetched.catch(() => undefined); // told when its turn comes
      waiting.push(fetched);
      if (waiting.length >= ahead) yield await waiting.shift()!;
    }
    while (waiting.length > 0) yield await waiting.shift()!;
  } finally {
    await Promise.allSettled(waiting);
  }
}

/** The beginning is read at once, so that small files need nobody who waits. */
export async function contentOf(body: AsyncIterable<Uint8Array>): Promise<Content> {
  const source = body[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  for (let length = 0; length <= wholeBytes;) {
    const next = await source.next();
    if (next.done === true) return Buffer.concat(head);
    head.push(next.value);
    length += next.value.length;
  }
  return (async function* () {
    yield* head;
    for (;;) {
      const next = await source.next();
      if (next.done === true) return;
      yield next.value;
    }
  })();
}
