/** Bytes on their way into a ZIP: counted, digested, and compressed where that is worth it. */
import { createHash } from 'node:crypto';
import { crc32, createDeflateRaw } from 'node:zlib';
import { deflated, type ZipMethod } from './zip-format.ts';

/** Text that repeats itself: more effort hardly makes it smaller. */
const deflateLevel = 3;

/** What a ZIP and its manifest say of a content. */
export interface Measured {
  readonly method: ZipMethod;
  readonly crc32: number;
  readonly bytes: number;
  readonly compressedBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

type Write = (bytes: Uint8Array) => void;

export class ZipContent {
  readonly #method: ZipMethod;
  readonly #write: Write;
  readonly #deflating: Deflating | null;
  readonly #digest = createHash('sha256');
  #sum = 0;
  #bytes = 0;
  #compressedBytes = 0;

  /** @param write what is thrown by it, `put` or `end` throws */
  constructor(method: ZipMethod, write: Write) {
    this.#method = method;
    this.#write = (bytes) => {
      write(bytes);
      this.#compressedBytes += bytes.length;
    };
    this.#deflating = method === deflated ? new Deflating(this.#write) : null;
  }

  /** When it resolves, the piece's memory may be used again. */
  async put(piece: Uint8Array): Promise<void> {
    this.#digest.update(piece);
    this.#sum = crc32(piece, this.#sum);
    this.#bytes += piece.length;
    if (this.#deflating === null) this.#write(piece);
    else await this.#deflating.put(piece);
  }

  async end(): Promise<Measured> {
    await this.#deflating?.end();
    return {
      method: this.#method,
      crc32: this.#sum,
      bytes: this.#bytes,
      compressedBytes: this.#compressedBytes,
      sha256: this.#digest.digest('hex'),
    };
  }
}

/** Compresses in the thread pool, a piece at a time. */
class Deflating {
  readonly #stream = createDeflateRaw({ level: deflateLevel, chunkSize: 64 * 1024 });
  readonly #closed = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | null = null;

  constructor(write: Write) {
    const fail = (error: unknown): void => {
      this.#failure ??= { error };
      this.#stream.destroy();
    };
    this.#stream.on('error', fail);
    this.#stream.on('close', () => this.#closed.resolve());
    this.#stream.on('data', (piece: Buffer) => {
      try {
        write(piece);
      } catch (error) {
        fail(error);
      }
    });
  }

  async put(piece: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#stream.write(piece, () => resolve()));
    if (this.#failure !== null) throw this.#failure.error;
  }

  async end(): Promise<void> {
    this.#stream.end();
    await this.#closed.promise;
    if (this.#failure !== null) throw this.#failure.error;
  }
}
