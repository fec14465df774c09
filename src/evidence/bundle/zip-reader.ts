/**
 * Reads a ZIP where it lies: nothing is unpacked to disk, memory holds the names and one file. Whoever made it is not
 * trusted: everything that two programs could read differently is refused before anything is read (names that are double
 * or lead elsewhere, a directory that disagrees with the files, files that overlap, links, encryption, bombs).
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import { Readable } from 'node:stream';
import { hasErrno } from '../../errors.ts';
import { EvidenceError } from '../error.ts';
import type { Listed, StoredFiles } from '../location.ts';
import {
  decodeCentral,
  decodeEnd,
  decodeLocal,
  end64Bytes,
  endBytes,
  localHeaderBytes,
  locatorBytes,
  malformed,
  stored,
  type ZipEntry,
} from './zip-format.ts';

/** A directory of more bytes than this is not read. */
const longestDirectory = 1024 * 1024 * 1024;
const chunkBytes = 64 * 1024;
/** A piece of content comes from the thread pool: larger ones cost fewer ways there. */
const inflatedBytes = 8 * chunkBytes;
/** Local headers are read with some of what follows them. */
const headerGuess = localHeaderBytes + 160;

/** Where the bytes of a file are. */
interface Place {
  readonly entry: ZipEntry;
  readonly dataOffset: number;
}

export class ZipFiles implements StoredFiles {
  readonly #fd: number;
  readonly #entries = new Map<string, Place>();
  /** Names in each directory. */
  readonly #directories = new Map<string, Map<string, Listed>>();

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws EvidenceError `bundle-malformed`, `evidence-not-found` */
  static open(file: string): ZipFiles {
    const zip = ZipFiles.over(openFile(file));
    try {
      zip.#readDirectory();
      return zip;
    } catch (error) {
      zip.close();
      throw error;
    }
  }

  /** For a file that is being written: entries are told as they come. It closes nothing. */
  static over(fd: number): ZipFiles {
    return new ZipFiles(fd);
  }

  close(): void {
    closeSync(this.#fd);
  }

  get names(): Iterable<string> {
    return this.#entries.keys();
  }

  entry(name: string): ZipEntry | null {
    return this.#entries.get(name)?.entry ?? null;
  }

  /** @throws EvidenceError `bundle-malformed` when the name was there, or is a directory too */
  add(entry: ZipEntry, dataOffset: number): void {
    const { name } = entry;
    if (this.#entries.has(name)) throw malformed(`two files in it have the name ${name}`);
    if (this.#directories.has(name)) throw malformed(`${name} is a file and a directory in it`);
    this.#entries.set(name, { entry, dataOffset });
    for (let path = name; path !== '';) {
      const slash = path.lastIndexOf('/');
      const [parent, last] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
      if (this.#entries.has(parent)) throw malformed(`${parent} is a file and a directory in it`);
      const isFile = path === name;
      const listed = { name: last, isFile: () => isFile, isDirectory: () => !isFile };
      const siblings = this.#directories.get(parent);
      if (siblings?.has(last)) return;
      if (siblings === undefined) this.#directories.set(parent, new Map([[last, listed]]));
      else siblings.set(last, listed);
      path = parent;
    }
  }

  async read(name: string, limitBytes: number): Promise<Buffer | null> {
    const place = this.#entries.get(name);
    if (place === undefined) return null;
    const { entry, dataOffset } = place;
    if (entry.method === stored || entry.bytes > limitBytes) {
      if (entry.bytes > limitBytes) return this.#head(name, limitBytes + 1);
      const bytes = this.#at(dataOffset, entry.bytes);
      return this.#checked(entry, bytes);
    }
    const compressed = this.#at(dataOffset, entry.compressedBytes);
    try {
      const bytes = inflateRawSync(compressed, { maxOutputLength: Math.max(entry.bytes, 1) });
      return this.#checked(entry, bytes);
    } catch (error) {
      if (error instanceof EvidenceError) throw error;
      throw damaged(name);
    }
  }

  async size(name: string): Promise<number | null> {
    return this.#entries.get(name)?.entry.bytes ?? null;
  }

  async list(directory: string): Promise<readonly Listed[]> {
    return [...(this.#directories.get(directory)?.values() ?? [])];
  }

  /** The content, piece by piece. @throws EvidenceError `bundle-malformed` when it is not what the ZIP says of it */
  async *content(name: string): AsyncGenerator<Buffer> {
    const place = this.#entries.get(name);
    if (place === undefined) return;
    const { entry } = place;
    const raw = this.#chunks(place);
    const pieces = entry.method === stored ? raw : inflated(raw, name);
    let [length, sum] = [0, 0];
    for await (const piece of pieces) {
      length += piece.length;
      if (length > entry.bytes) break;
      sum = crc32(piece, sum);
      yield piece;
    }
    if (length !== entry.bytes || sum !== entry.crc32) throw damaged(name);
  }

  async #head(name: string, bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of this.content(name)) {
      pieces.push(Buffer.from(piece));
      length += piece.length;
      if (length >= bytes) break;
    }
    return Buffer.concat(pieces).subarray(0, bytes);
  }

  #checked(entry: ZipEntry, bytes: Buffer): Buffer {
    if (bytes.length !== entry.bytes || crc32(bytes) !== entry.crc32) throw damaged(entry.name);
    return bytes;
  }

  *#chunks({ entry, dataOffset }: Place): Generator<Buffer> {
    for (let at = 0; at < entry.compressedBytes; at += chunkBytes)
      yield this.#at(dataOffset + at, Math.min(chunkBytes, entry.compressedBytes - at));
  }

  #at(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let filled = 0; filled < length;) {
      const read = readSync(this.#fd, bytes, filled, length - filled, position + filled);
      if (read === 0) throw malformed('it is cut');
      filled += read;
    }
    return bytes;
  }

  #readDirectory(): void {
    const { size } = fstatSync(this.#fd);
    const tailBytes = Math.min(size, end64Bytes + locatorBytes + endBytes);
    const end = decodeEnd(this.#at(size - tailBytes, tailBytes), size);
    if (end.bytes > longestDirectory) throw malformed('its directory is too large');
    const directory = this.#at(end.offset, end.bytes);
    const entries: ZipEntry[] = [];
    const directories: number[] = [];
    let at = 0;
    let count = 0;
    for (; at < directory.length; count++) {
      const { entry, headerBytes } = decodeCentral(directory, at);
      if (entry !== null) entries.push(entry);
      else directories.push(directory.readUInt32LE(at + 42));
      at += headerBytes;
    }
    if (count !== end.entries) throw malformed('its directory has another length than its end says');
    if (directories.length > 0) throw malformed('it has entries for directories');
    this.#place(entries, end.offset);
  }

  /** One after another from the first byte to the directory, each as the directory says: nothing overlaps or is hidden. */
  #place(entries: readonly ZipEntry[], directoryOffset: number): void {
    let expected = 0;
    const places: number[] = [];
    const inOrder = entries
      .map((entry, i) => ({ entry, i }))
      .toSorted((a, b) => a.entry.offset - b.entry.offset);
    for (const { entry, i } of inOrder) {
      if (entry.offset !== expected) throw malformed('files in it overlap, or something stands between them');
      if (expected > directoryOffset) throw malformed('files in it overlap its directory');
      const guess = this.#at(expected, Math.min(headerGuess + entry.name.length, directoryOffset - expected));
      const { entry: local, headerBytes } = decodeLocal(guess, expected);
      if (!same(local, entry)) throw malformed(`its directory disagrees with the file ${entry.name}`);
      places[i] = expected + headerBytes;
      expected += headerBytes + entry.compressedBytes;
    }
    if (expected !== directoryOffset) throw malformed('something stands between its files and its directory');
    for (const [i, entry] of entries.entries()) this.add(entry, places[i]!);
  }
}

function openFile(file: string): number {
  let fd;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT', 'ENOTDIR', 'ENXIO')) throw cause;
    throw new EvidenceError('evidence-not-found', 'there is no such bundle', { cause });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw malformed('it is no regular file');
}

const same = (a: ZipEntry, b: ZipEntry): boolean =>
  a.name === b.name &&
  a.method === b.method &&
  a.crc32 === b.crc32 &&
  a.bytes === b.bytes &&
  a.compressedBytes === b.compressedBytes;

const damaged = (name: string): EvidenceError => malformed(`${name} is damaged`);

async function* inflated(raw: Iterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  const inflate = Readable.from(raw, { objectMode: false }).pipe(
    createInflateRaw({ chunkSize: inflatedBytes }),
  );
  try {
    for await (const piece of inflate) yield piece as Buffer;
  } catch {
    throw damaged(name);
  } finally {
    inflate.destroy();
  }
}
