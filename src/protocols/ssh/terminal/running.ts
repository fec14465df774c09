/**
 * Lines that were submitted: when they ended, as far as the shell says it, and whether they were the ones that were decided.
 */
import type { LineOwner } from './line-owner.ts';
import type { Mark } from './marks.ts';
import { shownAfterEnter } from './reading.ts';
import type { Beginning } from './reading.ts';
import type { Screen } from './screen.ts';

type RunningOwner = Pick<LineOwner, 'finished' | 'differs'>;

export interface SubmittedLine {
  readonly line: number;
  readonly text: string;
  readonly marked: boolean;
  /** Look once more when the line is left: the program may have changed it after it was read. */
  readonly check: Beginning | null;
}

/** A shell that marks its prompts and never ends a command is forgotten about. */
const openLimit = 256;

export class RunningLines {
  readonly #owner: RunningOwner;
  /** Submitted, not ended; the first is running. */
  #open: SubmittedLine[] = [];
  #left: SubmittedLine | null = null;
  #told: string | null = null;

  constructor(owner: RunningOwner) {
    this.#owner = owner;
  }

  submitted(line: SubmittedLine): void {
    this.#open.push(line);
    if (this.#open.length > openLimit) this.#open.shift();
    this.#left = line.check === null ? null : line;
  }

  mark(mark: Mark): void {
    switch (mark.kind) {
      case 'line':
        this.#told = mark.text;
        break;
      case 'started':
        this.#started(mark.text ?? this.#told);
        this.#told = null;
        break;
      case 'finished':
        this.#finished(mark.exitCode);
        break;
      case 'prompt-end':
    }
  }

  /** The cursor went to another row: what stands there now is what the program took. */
  lineFed(screen: Screen): void {
    const line = this.#left;
    if (line === null || line.check === null || screen.alternate) return;
    this.#left = null;
    const shown = shownAfterEnter(screen, line.check);
    if (shown === null || same(line.text, shown) || bare(line.text).startsWith(bare(shown))) return;
    // Output of the command came before the cursor was seen to leave.
    if (shown.startsWith(`${line.text}\n`)) return;
    this.#owner.differs(line.line, shown, 'reconstructed');
  }

  #started(text: string | null): void {
    if (text === null || text.trim() === '') return;
    // A command of several lines is told as one; they were decided one by one.
    const since = this.#open;
    if (since.length > 1) return;
    if (since.length === 0) this.#owner.differs(null, text, 'marked');
    else if (!same(since[0]!.text, text)) this.#owner.differs(since[0]!.line, text, 'marked');
  }

  #finished(exitCode: number | null): void {
    const first = this.#open.findIndex((line) => line.marked);
    if (first === -1) {
      this.#open = [];
      return;
    }
    const [ended] = this.#open.splice(0, first + 1).slice(-1);
    // Lines without a mark of their own went on with this one, or were read by it.
    const next = this.#open.findIndex((line) => line.marked);
    this.#open = next === -1 ? [] : this.#open.slice(next);
    this.#owner.finished(ended!.line, exitCode);
  }
}

function same(a: string, b: string): boolean {
  return bare(a) === bare(b);
}

function bare(text: string): string {
  return text.replace(/\s+/gu, '');
}
