/**
 * The screen as the person sees it, made from the output that was delivered: where the cursor is and what stands where.
 *
 * Output is kept until somebody asks (`settle`), so that parsing never stands between the target and the person; a flood
 * is cut in the middle (`backlog.ts`), and parsing ends early when it has taken too long. After either, what stood on the
 * screen before is not to be relied on: `losses` counts them.
 */
import type { IBufferCell, IMarker } from '@xterm/headless';
import { Backlog } from './backlog.ts';
import { HeadlessTerminal } from './headless.ts';
import type { HeadlessListener } from './headless.ts';

/** Row from the top of the scrollback; column from 0, in cells. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

/** A place that stays with its text when lines scroll. */
export interface Anchor {
  readonly marker: IMarker;
  readonly column: number;
}

const sliceBytes = 1024;
/** One look at the screen takes no longer; an ordinary backlog takes a third of it. */
const settleMs = 25;

export class Screen {
  readonly #backlog = new Backlog();
  readonly #terminal: HeadlessTerminal;
  readonly #now: () => number;

  constructor(columns: number, rows: number, now: () => number, listener: HeadlessListener) {
    this.#terminal = new HeadlessTerminal(columns, rows, listener);
    this.#now = now;
  }

  get losses(): number {
    return this.#backlog.skips + this.#terminal.restarts;
  }

  get alternate(): boolean {
    return this.#terminal.alternate;
  }

  get bracketedPaste(): boolean {
    return this.#terminal.bracketedPaste;
  }

  get columns(): number {
    return this.#terminal.columns;
  }

  get cursor(): Place {
    const { buffer } = this.#terminal;
    return { row: buffer.baseY + buffer.cursorY, column: buffer.cursorX };
  }

  /** Rows with text on them or above: the last row's index and one. */
  get rows(): number {
    return this.#terminal.buffer.length;
  }

  write(bytes: Uint8Array): void {
    this.#backlog.push(bytes);
  }

  /** Parses what was written. */
  settle(): void {
    if (this.#backlog.bytes === 0) return;
    const end = this.#now() + settleMs;
    let bytes = this.#backlog.take();
    for (let position = 0; position < bytes.length; position += sliceBytes) {
      if (this.#now() > end && bytes.length - position > 8 * sliceBytes) {
        bytes = this.#backlog.shortened(bytes.subarray(position));
        position = 0;
      }
      this.#terminal.parse(bytes.subarray(position, position + sliceBytes));
    }
  }

  resize(columns: number, rows: number): void {
    this.settle();
    this.#terminal.resize(columns, rows);
  }

  /** Null on the alternate screen. */
  anchor(column: number = this.cursor.column): Anchor | null {
    const marker = this.#terminal.marker();
    return marker === null ? null : { marker, column };
  }

  /** True when the row goes on in the next one: the text between them has no line break. */
  continues(row: number): boolean {
    if (this.#terminal.buffer.getLine(row + 1)?.isWrapped === true) return true;
    // Line editors that move the cursor by themselves leave no sign but a row that is full.
    const line = this.#terminal.buffer.getLine(row);
    return line !== undefined && (line.getCell(this.columns - 1)?.getChars() ?? '').trim() !== '';
  }

  /** Text of one row in `[from, to)`, blanks kept up to `to`. */
  row(row: number, from = 0, to: number = this.columns): string {
    return this.#terminal.buffer.getLine(row)?.translateToString(false, from, to) ?? '';
  }

  cell(row: number, column: number): IBufferCell | null {
    return this.#terminal.buffer.getLine(row)?.getCell(column) ?? null;
  }

  /**
   * Text between two places; rows that do not continue are joined by a line break. What stands from `clip` on in its row is
   * left out.
   */
  text(from: Place, to: Place, clip: Place | null = null): string {
    let text = '';
    for (let row = from.row; row <= to.row; row++) {
      const start = row === from.row ? from.column : 0;
      const end = row === to.row ? to.column : this.columns;
      const clipped = clip !== null && clip.row === row && clip.column < end;
      const part = this.row(row, start, clipped ? Math.max(start, clip.column) : end);
      if (row === to.row) text += clipped ? part.trimEnd() : part;
      else if (clipped || !this.continues(row)) text += `${part.trimEnd()}\n`;
      else text += this.#wideLeft(row) ? part.slice(0, -1) : part;
    }
    return text;
  }

  /** Column at which the character with this index in `row()` stands. */
  columnOf(row: number, index: number): number {
    let characters = 0;
    for (let column = 0; column < this.columns; column++) {
      if (characters >= index) return column;
      const cell = this.cell(row, column);
      if (cell !== null && cell.getWidth() > 0) characters += Math.max(1, cell.getChars().length);
    }
    return this.columns;
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  /** A wide character did not fit into the last cell, which is blank without anybody having typed a blank. */
  #wideLeft(row: number): boolean {
    return (
      this.cell(row, this.columns - 1)?.getChars() === '' && (this.cell(row + 1, 0)?.getWidth() ?? 1) === 2
    );
  }
}
