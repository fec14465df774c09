/**
 * Output that the screen has not parsed yet, bounded. In a flood the middle is left out: the newest output is kept, from a
 * line's beginning, and of the rest only what changes the terminal's state or marks a prompt.
 */

/** What is kept of output that nobody sees; as much is collected again before the next cut. */
const keptBytes = 65_536;
const condensedBytes = 16_384;
/** A line's beginning is looked for this far. */
const lineBytes = 4096;

/** Cancels whatever sequence the cut went through. */
const cancel = Buffer.from([0x18]);
const newline = 0x0a;

// oxlint-disable-next-line no-control-regex -- control sequences are what this looks for
const lasting = /\x1b(?:\[\?[\d;]{1,40}[hl]|\](?:133|633);[^\x07\x1b]{0,8192}(?:\x07|\x1b\\)|c)/g;

export class Backlog {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #skips = 0;

  /** How often something was left out. */
  get skips(): number {
    return this.#skips;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a copy. */
  push(bytes: Uint8Array): void {
    // Of one huge chunk the front is looked at in pieces too, so that nothing is joined that is larger than the bound.
    for (let position = 0; position < bytes.length; position += keptBytes) {
      const piece = bytes.subarray(position, position + keptBytes);
      this.#chunks.push(Buffer.from(piece));
      this.#bytes += piece.length;
      if (this.#bytes > 2 * keptBytes) this.#condense(keptBytes);
    }
  }

  /** Everything, oldest first. */
  take(): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    return all;
  }

  /** What is left of `unparsed` when there is no time for more than its end. */
  shortened(unparsed: Buffer): Buffer {
    this.#chunks.unshift(unparsed);
    this.#bytes += unparsed.length;
    this.#condense(lineBytes);
    return this.take();
  }

  #condense(keep: number): void {
    const all = this.take();
    let cut = Math.max(0, all.length - keep);
    if (cut === 0) {
      this.#keep(all);
      return;
    }
    const lineEnd = all.indexOf(newline, cut);
    if (lineEnd !== -1 && lineEnd < cut + Math.min(lineBytes, keep / 2)) cut = lineEnd + 1;
    const dropped = all.toString('latin1', 0, cut);
    const state = (dropped.match(lasting) ?? []).join('').slice(-condensedBytes);
    this.#skips++;
    this.#keep(Buffer.concat([cancel, Buffer.from(state, 'latin1'), all.subarray(cut)]));
  }

  #keep(bytes: Buffer): void {
    this.#chunks = [bytes];
    this.#bytes = bytes.length;
  }
}
