/**
 * What a program of the target writes, as the client may see it: standard output or error of a command (`program-output.ts`),
 * or a terminal (`terminal-output.ts`).
 *
 * What is decided is delivered within the call of `push`, in order. Held back is no more than a tail that may be the beginning of
 * a value, and for no longer than 20 ms: then it is decided as it stands, masked if it is a finding already, delivered if it
 * is none. So a target that writes a card number digit by digit with pauses shows its first digits (and so does a terminal in
 * which somebody types one); what follows is read together with them, and the rest of the number is masked as soon as
 * it is one. The echo of a key does not wait at all: the time would be over before the next key. Colours count for nothing
 * there: a shell that highlights its line shows one character in dozens of bytes.
 *
 * Bytes may be anything: a value in a binary file is masked like one in a text, in place where the rule's mode keeps the
 * length. `fixed` and `hash` put their text there in a program's output, and mask in place (`redact`) in a terminal, where
 * columns count; `null` has no meaning in a stream and masks in place. Of a value that was decided in pieces each is masked in
 * place.
 */
import type { Masking, OutputStream, RedactionPlace } from '../../../gate/masking.ts';
import { ProgramOutput } from './program-output.ts';
import { TerminalOutput } from './terminal-output.ts';

/** Bytes of text that a terminal writes when a key is echoed: the character, and some that are drawn once more around it. */
const echoBytes = 8;
/** Keys whose echo may still come. */
const mostKeys = 256;
/** How long an undecided tail waits for what follows. */
export const heldMs = 20;

export interface MaskedStreamOptions {
  readonly masking: Masking;
  /** The bytes are for a terminal: with control sequences, which may stand in the middle of a value. */
  readonly terminal: boolean;
  /** Where it is recorded; `output` when absent. */
  readonly stream?: OutputStream;
  /**
   * Told of each masked value before it is delivered. `bytes[start, end)` is the original, with the control sequences in
   * it; valid during the call. `place.offset` counts from the first byte of the stream, before masking.
   */
  redacted(rule: number, place: RedactionPlace, bytes: Uint8Array, start: number, end: number): void;
  /** The bytes are the receiver's. Must not call `push`. */
  deliver(bytes: Buffer): void;
  /** Masking failed: of this stream nothing is delivered any more. Called once, from within a call or the clock's work. */
  failed(error: unknown): void;
  /** Does `work` after so many milliseconds unless the function that it returns is called before. */
  after(ms: number, work: () => void): () => void;
}

/** One stream of one command. */
export class MaskedStream {
  readonly #options: MaskedStreamOptions;
  readonly #output: ProgramOutput | TerminalOutput;
  /** Stops the clock of the tail that waits; null when none does. */
  #stop: (() => void) | null = null;
  #keys = 0;
  #failed = false;

  constructor(options: MaskedStreamOptions) {
    this.#options = options;
    this.#output = options.terminal ? new TerminalOutput(options) : new ProgramOutput(options);
  }

  /** Somebody typed so many keys: as many small pieces that follow are their echo, and do not wait. */
  typed(keys: number): void {
    this.#keys = Math.min(this.#keys + keys, mostKeys);
  }

  /** The terminal is so many columns wide; a line that fills them may go on in the next. Until it is told every line may. */
  resize(columns: number): void {
    this.#output.columns = columns;
  }

  /** Takes the next bytes, which are the stream's from now on: they may be changed in place, and delivered. */
  push(chunk: Buffer): void {
    this.#guarded(() => this.#push(chunk));
  }

  /** Nothing follows, or nobody is there to deliver to: everything is decided, and no clock runs. */
  end(): void {
    this.#unwind();
    this.#guarded(() => this.#output.settle());
  }

  #push(chunk: Buffer): void {
    const waits = this.#output.push(chunk);
    const echo = this.#keys > 0 && this.#output.textBytes <= echoBytes;
    if (echo) this.#keys--;
    if (echo && waits !== 'nothing') {
      this.#unwind();
      this.#output.settle();
      return;
    }
    // The clock runs for the oldest byte: only when that was decided does it start again.
    if (waits !== 'as before') this.#unwind();
    if (waits !== 'nothing') this.#stop ??= this.#options.after(heldMs, () => this.#settle());
  }

  #settle(): void {
    this.#stop = null;
    this.#guarded(() => this.#output.settle());
  }

  /** Where masking stopped half-way, what was found and not masked yet would be delivered by the next attempt. */
  #guarded(work: () => void): void {
    if (this.#failed) return;
    try {
      work();
    } catch (error) {
      this.#failed = true;
      this.#unwind();
      this.#options.failed(error);
    }
  }

  #unwind(): void {
    this.#stop?.();
    this.#stop = null;
  }
}

/** What waits after a push: nothing, something that came with it, or what waited before it. */
export type Waiting = 'nothing' | 'new' | 'as before';
