/**
 * Writes a ZIP file by file into `FILE.partial`, and gives it its name when it is whole. What was written can be read all the
 * while, and after an interruption it goes on behind the last whole file: local headers are completed last, so the file
 * itself tells how far it came.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { EvidenceError } from '../error.ts';
import {
  decodeLocal,
  deflated,
  encodeCentral,
  encodeEnd,
  encodeLocal,
  localHeaderBytes,
  malformed,
  stored,
  type ZipEntry,
  type ZipMethod,
} from './zip-format.ts';
import { ZipAside } from './zip-aside.ts';
import { ZipContent } from './zip-content.ts';
import { ZipFiles } from './zip-reader.ts';

/** What is in the ZIP, for the manifest. */
export interface Written {
  readonly name: string;
  readonly bytes: number;
  /** Of the content, hexadecimal. */
  readonly sha256: string;
}

type Content = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

const directoryBatchBytes = 1024 * 1024;

export const partialOf = (file: string): string => `${file}.partial`;

export class ZipWriter {
  readonly #file: string;
  readonly #fd: number;
  readonly #timeMs: number;
  readonly #written = new Map<string, Written>();
  /** What was written, to be read. */
  readonly files: ZipFiles;
  readonly #asides: ZipAside[] = [];
  #position = 0;

  private constructor(file: string, fd: number, timeMs: number) {
    this.#file = file;
    this.#fd = fd;
    this.#timeMs = timeMs;
    this.files = ZipFiles.over(fd);
  }

  /**
   * Begins `FILE.partial`, or goes on with it: every file that is whole in it is read again, for its digest.
   * @param timeMs stands as the time of its files
   * @param resumed called with the bytes that were taken over so far
   */
  static async open(file: string, timeMs: number, resumed: (bytes: number) => void): Promise<ZipWriter> {
    const fd = openSync(partialOf(file), constants.O_RDWR | constants.O_CREAT, 0o600);
    const writer = new ZipWriter(file, fd, timeMs);
    try {
      await writer.#resume(resumed);
      return writer;
    } catch (error) {
      writer.close();
      throw error;
    }
  }

  /** In the order in which they were written. */
  get written(): Iterable<Written> {
    return this.#written.values();
  }

  /** Bytes of the file so far. */
  get bytes(): number {
    return this.#position;
  }

  has(name: string): boolean {
    return this.#written.has(name);
  }

  /** A file of which all bytes are at hand; stored as they are. */
  addStored(name: string, content: Uint8Array): void {
    const entry = {
      name,
      method: stored,
      crc32: crc32(content),
      compressedBytes: content.length,
      bytes: content.length,
      offset: this.#position,
    } satisfies ZipEntry;
    const header = encodeLocal(entry, this.#timeMs);
    this.#write(Buffer.concat([header, content]), this.#position);
    this.#added(entry, header.length, createHash('sha256').update(content).digest('hex'));
  }

  /** A file of any length, piece by piece. @param method deflated: text */
  async add(name: string, content: Content, method: ZipMethod): Promise<void> {
    const offset = this.#position;
    const unfinished = { name, method, crc32: 0, compressedBytes: unfinishedBytes, bytes: 0, offset };
    const header = encodeLocal(unfinished, this.#timeMs);
    this.#write(header, offset);
    let end = offset + header.length;
    const into = new ZipContent(method, (bytes) => {
      this.#write(bytes, end);
      end += bytes.length;
    });
    for await (const piece of content) await into.put(piece);
    const { sha256, ...measured } = await into.end();
    const entry = { ...measured, name, offset };
    this.#write(encodeLocal(entry, this.#timeMs), offset);
    this.#added(entry, header.length, sha256);
  }

  /** Text of any length, compressed. */
  addText(name: string, text: Iterable<string>): Promise<void> {
    return this.add(name, encoded(text), deflated);
  }

  /** A text that is written before its turn; `close` ends it. */
  aside(): ZipAside {
    const aside = new ZipAside(`${partialOf(this.#file)}.aside`);
    this.#asides.push(aside);
    return aside;
  }

  /** Its turn has come. */
  async addAside(name: string, aside: ZipAside): Promise<void> {
    const { sha256, ...measured } = await aside.end();
    const entry = { ...measured, name, offset: this.#position };
    const header = encodeLocal(entry, this.#timeMs);
    let end = entry.offset + header.length;
    for (const bytes of aside.compressed()) {
      this.#write(bytes, end);
      end += bytes.length;
    }
    // Last, so that what was interrupted is not taken for whole.
    this.#write(header, entry.offset);
    this.#added(entry, header.length, sha256);
  }

  /** Writes the directory, brings all of it to disk and gives the file its name. Nothing is added after it. */
  finish(): void {
    const offset = this.#position;
    let [entries, batch, batchBytes] = [0, [] as Buffer[], 0];
    const flush = (): void => {
      const bytes = Buffer.concat(batch);
      this.#write(bytes, this.#position);
      this.#position += bytes.length;
      [batch, batchBytes] = [[], 0];
    };
    for (const name of this.#written.keys()) {
      const header = encodeCentral(this.files.entry(name)!, this.#timeMs);
      batch.push(header);
      batchBytes += header.length;
      entries++;
      if (batchBytes > directoryBatchBytes) flush();
    }
    flush();
    batch.push(encodeEnd({ entries, offset, bytes: this.#position - offset }));
    flush();
    ftruncateSync(this.#fd, this.#position);
    fdatasyncSync(this.#fd);
    renameSync(partialOf(this.#file), this.#file);
  }

  close(): void {
    for (const aside of this.#asides) aside.close();
    closeSync(this.#fd);
  }

  #added(entry: ZipEntry, headerBytes: number, sha256: string): void {
    this.files.add(entry, entry.offset + headerBytes);
    this.#written.set(entry.name, { name: entry.name, bytes: entry.bytes, sha256 });
    this.#position = entry.offset + headerBytes + entry.compressedBytes;
  }

  #write(bytes: Uint8Array, position: number): void {
    for (let at = 0; at < bytes.length;)
      at += writeSync(this.#fd, bytes, at, bytes.length - at, position + at);
  }

  async #resume(resumed: (bytes: number) => void): Promise<void> {
    const { size } = fstatSync(this.#fd);
    while (this.#position < size) {
      const found = this.#localAt(this.#position, size);
      if (found === null || !(await this.#takeOver(found))) break;
      resumed(this.#position);
    }
    ftruncateSync(this.#fd, this.#position);
  }

  /** Null where no whole file follows. */
  #localAt(offset: number, size: number): { entry: ZipEntry; headerBytes: number } | null {
    const bytes = Buffer.alloc(Math.min(localHeaderBytes + 2 * 65_535, size - offset));
    readSync(this.#fd, bytes, 0, bytes.length, offset);
    try {
      const found = decodeLocal(bytes, offset);
      const end = offset + found.headerBytes + found.entry.compressedBytes;
      return end <= size ? found : null;
    } catch (error) {
      if (error instanceof EvidenceError) return null;
      throw error;
    }
  }

  /** False when its bytes are not those that were written. */
  async #takeOver({ entry, headerBytes }: { entry: ZipEntry; headerBytes: number }): Promise<boolean> {
    const digest = createHash('sha256');
    const probe = ZipFiles.over(this.#fd);
    probe.add(entry, entry.offset + headerBytes);
    try {
      for await (const piece of probe.content(entry.name)) digest.update(piece);
    } catch (error) {
      if (error instanceof EvidenceError) return false;
      throw error;
    }
    if (this.#written.has(entry.name)) throw malformed(`${entry.name} stands in it twice`);
    this.#added(entry, headerBytes, digest.digest('hex'));
    return true;
  }
}

const textChunk = 64 * 1024;

/** Text as bytes, in pieces that are worth compressing. */
function* encoded(text: Iterable<string>): Generator<Buffer> {
  let waiting = '';
  for (const piece of text) {
    waiting += piece;
    if (waiting.length < textChunk) continue;
    yield Buffer.from(waiting);
    waiting = '';
  }
  yield Buffer.from(waiting);
}

/** No file ends there: what was interrupted is not taken for whole. */
const unfinishedBytes = Number.MAX_SAFE_INTEGER;
