/**
 * A file of a ZIP that is written before its turn: several are made in one pass, and stand in the ZIP one after another. Until then
 * it lies, compressed, in a file that has no name any more: whatever happens, nothing of it stays.
 */
import { closeSync, openSync, readSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { ZipContent, type Measured } from './zip-content.ts';
import { deflated } from './zip-format.ts';
import { ZipFiles } from './zip-reader.ts';

const copyBytes = 256 * 1024;
/** Longer pieces are worth compressing. */
const textBytes = 256 * 1024;

export class ZipAside {
  readonly #fd: number;
  readonly #content: ZipContent;
  readonly #text = Buffer.allocUnsafeSlow(textBytes);
  #textLength = 0;
  #length = 0;
  #measured: Promise<Measured> | null = null;

  /** @param file for a moment, beside the ZIP */
  constructor(file: string) {
    rmSync(file, { force: true });
    this.#fd = openSync(file, 'wx+', 0o600);
    unlinkSync(file);
    this.#content = new ZipContent(deflated, (bytes) => {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
      this.#length += bytes.length;
    });
  }

  async add(texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      // A code unit is three bytes at most.
      const most = 3 * text.length;
      if (most > textBytes - this.#textLength) await this.#flush();
      if (most > textBytes) await this.#content.put(Buffer.from(text));
      else this.#textLength += this.#text.write(text, this.#textLength);
    }
  }

  /** Nothing more is added. */
  end(): Promise<Measured> {
    this.#measured ??= this.#flush().then(() => this.#content.end());
    return this.#measured;
  }

  /** As it will stand in the ZIP. */
  *compressed(): Generator<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(copyBytes);
    for (let at = 0; at < this.#length;) {
      const read = readSync(this.#fd, bytes, 0, Math.min(bytes.length, this.#length - at), at);
      if (read === 0) throw new Error('what was written aside is gone');
      at += read;
      yield bytes.subarray(0, read);
    }
  }

  /** As it was added; nothing more is. */
  async *content(): AsyncGenerator<Buffer> {
    const files = ZipFiles.over(this.#fd);
    files.add({ ...(await this.end()), name: 'aside', offset: 0 }, 0);
    yield* files.content('aside');
  }

  close(): void {
    closeSync(this.#fd);
  }

  async #flush(): Promise<void> {
    if (this.#textLength > 0) await this.#content.put(this.#text.subarray(0, this.#textLength));
    this.#textLength = 0;
  }
}
