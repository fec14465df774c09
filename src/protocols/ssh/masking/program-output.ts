/**
 * Standard output or error of a command: bytes as they are. One window holds what is undecided, what came last and, before
 * them, some of what was delivered, all in the clear; scans read it, and what is delivered is masked in bytes of its own.
 */
import type { Findings, LiveText } from '../../../gate/masking.ts';
import type { MaskedStreamOptions, Waiting } from './masked-stream.ts';

/** So much is looked at at once: with what stands before it, a block of the scanner. */
const sliceBytes = 60 * 1024;

export class ProgramOutput {
  /** Of no meaning here. */
  columns = 0;
  readonly textBytes = Number.POSITIVE_INFINITY;
  readonly #options: MaskedStreamOptions;
  readonly #live: LiveText;
  #window = Buffer.allocUnsafeSlow(4096);
  /** Of the window: where the undecided bytes begin, where they end. */
  #from = 0;
  #end = 0;
  /** Of the window's first byte, in the stream. */
  #offset = 0;

  constructor(options: MaskedStreamOptions) {
    this.#options = options;
    this.#live = options.masking.live();
  }

  push(chunk: Buffer): Waiting {
    let waiting: Waiting = 'nothing';
    let untouched = true;
    for (let at = 0; at < chunk.length; at += sliceBytes) {
      waiting = this.#slice(chunk.subarray(at, at + sliceBytes));
      untouched &&= waiting === 'as before';
    }
    return waiting === 'as before' && !untouched ? 'new' : waiting;
  }

  /** Decides what waits as it stands. */
  settle(): void {
    if (this.#from < this.#end) this.#decide(true, null);
  }

  #slice(slice: Buffer): Waiting {
    const before = this.#end;
    const held = this.#from < before;
    this.#reserve(before + slice.length);
    this.#window.set(slice, before);
    this.#end += slice.length;
    const decided = this.#decide(false, held ? null : slice);
    if (this.#from === this.#end) return 'nothing';
    return held && decided < before ? 'as before' : 'new';
  }

  #reserve(length: number): void {
    if (length <= this.#window.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#window.length));
    this.#window.copy(larger, 0, 0, this.#end);
    this.#window = larger;
  }

  /**
   * Delivers what is decided.
   * @param slice the undecided bytes, when they are the receiver's
   * @returns up to where it is, in the window as it was
   */
  #decide(settle: boolean, slice: Buffer | null): number {
    const from = this.#from;
    const found = this.#live.push(this.#window, 0, from, this.#end, settle);
    const { decided, kept } = this.#live;
    let bytes = slice?.subarray(0, decided - from) ?? Buffer.from(this.#window.subarray(from, decided));
    if (found.length > 0) bytes = this.#mask(bytes, from, found);
    this.#window.copyWithin(0, kept, this.#end);
    this.#from = decided - kept;
    this.#end -= kept;
    this.#offset += kept;
    if (bytes.length > 0) this.#options.deliver(bytes);
    return decided;
  }

  /** @param bytes a copy of the window from `from` on */
  #mask(bytes: Buffer, from: number, found: Findings): Buffer {
    const { masking, redacted, stream = 'output' } = this.#options;
    const parts: Buffer[] = [];
    let done = 0;
    for (let index = 0; index < found.length; index++) {
      const [start, end, rule] = [found.starts[index]!, found.ends[index]!, found.rules[index]!];
      const place = { row: -1, column: -1, offset: this.#offset + start, length: end - start, stream };
      redacted(rule, place, this.#window, start, end);
      const piece = found.values[index] === 1;
      const instead = piece ? 'null' : masking.mask(rule, bytes, start - from, end - from, 'text');
      if (instead === 'null') masking.redact(bytes, start - from, end - from, 'text');
      else if (instead !== null) {
        parts.push(bytes.subarray(done, start - from), instead);
        done = end - from;
      }
    }
    return parts.length === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(done)]);
  }
}
