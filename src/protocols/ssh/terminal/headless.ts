/**
 * A terminal without a display (`@xterm/headless`), fed by a hostile target: parsed at once and within bounds.
 *
 * - It parses synchronously, by a method that the package does not promise (`writeSync`): a line has to be read at one point of
 *   the stream, and the promised method would make a keystroke wait for a timer. A test fails when the method is gone.
 * - Counts in control sequences are limited: the package repeats some of its work as often as a sequence says.
 * - It answers no questions of the target and keeps no titles and links.
 */
import xterm from '@xterm/headless';
import type { IBuffer, IMarker, Terminal } from '@xterm/headless';
import { parseMark } from './marks.ts';
import type { Mark } from './marks.ts';

/** Lines that scrolled off are of use only while the line that is being typed begins among them. */
const scrollback = 300;
const largest = { columns: 1000, rows: 500 };
const usual = { columns: 80, rows: 24 };
/** Bytes of characters beyond ASCII after which it starts afresh: combining ones pile up in a cell without an end. */
const wideBytes = 8 * 1024 * 1024;
/** A cell that more is written into than any person would. */
const cellLength = 16;

export interface HeadlessListener {
  mark(mark: Mark): void;
  lineFed(): void;
}

interface SynchronousCore {
  writeSync(data: Uint8Array): void;
}

export class HeadlessTerminal {
  #terminal: Terminal;
  #wideBytes = 0;
  #restarts = 0;
  readonly #listener: HeadlessListener;

  constructor(columns: number, rows: number, listener: HeadlessListener) {
    this.#listener = listener;
    this.#terminal = this.#started(within(columns, 'columns'), within(rows, 'rows'));
  }

  /** How often everything on it was lost. */
  get restarts(): number {
    return this.#restarts;
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  get buffer(): IBuffer {
    return this.#terminal.buffer.active;
  }

  get alternate(): boolean {
    return this.#terminal.buffer.active.type === 'alternate';
  }

  get bracketedPaste(): boolean {
    return this.#terminal.modes.bracketedPasteMode;
  }

  /** Follows the cursor's row as lines scroll; null on the alternate screen. */
  marker(): IMarker | null {
    return this.#terminal.registerMarker(0) ?? null;
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(within(columns, 'columns'), within(rows, 'rows'));
  }

  parse(bytes: Uint8Array): void {
    for (const byte of bytes) if (byte >= 0x80) this.#wideBytes++;
    if (this.#wideBytes > wideBytes) this.#restart();
    try {
      synchronous(this.#terminal).writeSync(bytes);
    } catch {
      // Whatever the package stumbled over, it cannot go on from there.
      this.#restart();
    }
  }

  dispose(): void {
    this.#terminal.dispose();
  }

  #restart(): void {
    const { cols, rows } = this.#terminal;
    this.#terminal.dispose();
    this.#terminal = this.#started(cols, rows);
    this.#wideBytes = 0;
    this.#restarts++;
  }

  #started(cols: number, rows: number): Terminal {
    const terminal = new xterm.Terminal({ cols, rows, scrollback, allowProposedApi: true, logLevel: 'off' });
    const { parser } = terminal;
    for (const code of [133, 633] as const)
      parser.registerOscHandler(code, (data) => {
        const mark = parseMark(code, data);
        if (mark !== null) this.#listener.mark(mark);
        return true;
      });
    for (const kept of [0, 1, 2, 8]) parser.registerOscHandler(kept, () => true);
    for (const final of ['L', 'M', 'S', 'T', 'I', 'Z'])
      parser.registerCsiHandler({ final }, (parameters) => count(parameters) > terminal.cols + terminal.rows);
    parser.registerCsiHandler({ final: 'b' }, (parameters) => {
      const { active } = terminal.buffer;
      const row = active.getLine(active.baseY + active.cursorY);
      const repeated = row?.getCell(active.cursorX - 1)?.getChars() ?? '';
      return count(parameters) > terminal.cols || repeated.length > cellLength;
    });
    terminal.onLineFeed(() => this.#listener.lineFed());
    return terminal;
  }
}

function synchronous(terminal: Terminal): SynchronousCore {
  return (terminal as unknown as { _core: SynchronousCore })._core;
}

function count(parameters: readonly (number | number[])[]): number {
  const first = parameters[0] ?? 0;
  return typeof first === 'number' ? first : (first[0] ?? 0);
}

/** A client without a size of its own (0) gets the usual one. */
function within(size: number, which: 'columns' | 'rows'): number {
  if (!Number.isInteger(size) || size <= 0) return usual[which];
  return Math.min(Math.max(size, 2), largest[which]);
}
