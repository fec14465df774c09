/**
 * Command lines of an interactive shell: stands between the two directions of a channel with a terminal.
 *
 * Input passes at once, but for the key that submits a line: it waits until the screen shows what was typed (the echo may be
 * on its way; a bounded time), until the owner has decided about the line, and, when people are asked, until they have
 * spoken. What is typed meanwhile waits behind it; Ctrl-C withdraws the line. Output is only looked at, never changed.
 *
 * It does not know which program reads the line. A line typed into `python`, `psql` or an `ssh` to another host is told like
 * one of the shell: it is what was typed and shown. On the alternate screen (editors, pagers, tmux) there are no lines.
 * What a person who means to hide something can still do is in `docs` of SSH targets; `hidden` and `exact` say what was
 * noticed of it.
 */
import { EchoTime } from './echo-time.ts';
import { KeyReader } from './keys.ts';
import type { Key } from './keys.ts';
import { LineInProgress } from './line-in-progress.ts';
import type { LineOwner, LineTime, TerminalSize } from './line-owner.ts';
import type { Mark } from './marks.ts';
import type { Beginning, Reading } from './reading.ts';
import { RunningLines } from './running.ts';
import { Screen } from './screen.ts';

/** Output is parsed this long after it came, unless somebody asks before. */
const parseMs = 20;
/**
 * A line is cleared so long after its last key was seen. Line editors miss a signal that comes between their echo and their
 * next read, and say nothing until a key is pressed.
 */
const clearMs = 50;
/** On a busy machine that is too short for some: who begins no new line after the signal, and is sent no key, gets it once more. */
const againMs = 500;
const promptLimit = 200;

const interruptByte = Buffer.from([0x03]);
const lineFeed = 0x0a;
const pasteEcho = '^[[200~';

export class TerminalLines {
  readonly #owner: LineOwner;
  readonly #time: LineTime;
  readonly #screen: Screen;
  readonly #line: LineInProgress;
  readonly #running: RunningLines;
  readonly #keys = new KeyReader();
  readonly #echo: EchoTime;
  #queue: Key[] = [];
  #waitingBytes = 0;
  /** Something waited when input was looked at last. */
  #waits = false;
  #passing: Buffer[] = [];
  #state: 'open' | 'echo' | 'held' | 'clearing' | 'closed' = 'open';
  #lines = 0;
  #held: Reading | null = null;
  /** Of the paste that goes on: null while it is not known whether its line breaks submit. */
  #pasteIsText: boolean | null = null;
  #cancelParse: (() => void) | null = null;
  #cancelWait: (() => void) | null = null;
  #cancelAgain: (() => void) | null = null;

  constructor(size: TerminalSize, time: LineTime, owner: LineOwner) {
    this.#time = time;
    this.#owner = owner;
    this.#echo = new EchoTime(time.now);
    this.#screen = new Screen(size.columns, size.rows, time.now, {
      mark: (mark) => this.#mark(mark),
      lineFed: () => this.#running.lineFed(this.#screen),
    });
    this.#line = new LineInProgress(this.#screen);
    this.#running = new RunningLines(owner);
  }

  /** Input that waits for a decision. An owner stops reading while it is large; then Ctrl-C is not heard of either. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Everything that is delivered to the client's terminal, the owner's own notices too. `bytes` are copied. */
  output(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    // A line editor that missed it may still be drawing the line.
    if (bytes.includes(lineFeed)) this.#cancelAgain?.();
    this.#screen.write(bytes);
    this.#echo.output();
    this.#line.answered();
    if (this.#state === 'echo') {
      this.#decide(false);
      if (this.#state === 'echo') this.#wait();
      this.#pump();
    } else this.#cancelParse ??= this.#time.after(parseMs, () => this.#settle());
  }

  /** What the client sent. `bytes` are copied. */
  input(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#cancelAgain?.();
    for (const key of this.#keys.push(bytes)) {
      this.#queue.push(key);
      this.#waitingBytes += key.bytes.length;
    }
    if (this.#state === 'held') this.#withdrawIfInterrupted();
    this.#pump();
  }

  resize(columns: number, rows: number): void {
    if (this.#state !== 'closed') this.#screen.resize(columns, rows);
  }

  /** The line for which `wait` was answered may go. */
  proceed(): void {
    if (this.#state !== 'held') return;
    this.#state = 'open';
    this.#submit(this.#held);
    this.#held = null;
    this.#pump();
  }

  /** The line for which `wait` was answered may not go. */
  refuse(): void {
    if (this.#state !== 'held') return;
    this.#clear(interruptByte);
    this.#pump();
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#cancelParse?.();
    this.#cancelWait?.();
    this.#cancelAgain?.();
    this.#queue = [];
    this.#passing = [];
    this.#waitingBytes = 0;
    this.#screen.dispose();
  }

  #mark(mark: Mark): void {
    if (mark.kind === 'prompt-end') this.#line.promptEnds();
    else this.#running.mark(mark);
  }

  #settle(): void {
    this.#cancelParse?.();
    this.#cancelParse = null;
    this.#screen.settle();
  }

  #pump(): void {
    if (this.#queue.length > 0 && this.#state === 'open') this.#settle();
    while (this.#state === 'open' && this.#queue.length > 0) this.#key(this.#queue[0]!);
    this.#flush();
    const waits = this.#waitingBytes > 0;
    const drained = this.#waits && !waits;
    this.#waits = waits;
    if (drained) this.#owner.drained();
  }

  #key(key: Key): void {
    if (this.#screen.alternate) {
      this.#pass();
      this.#line.next();
      return;
    }
    if (key.kind === 'report') {
      this.#pass();
      return;
    }
    this.#line.begin();
    if (this.#submits(key)) this.#await();
    else if (key.kind === 'interrupt') {
      this.#pass();
      this.#line.next();
    } else {
      if (key.kind === 'paste-start') this.#pasteIsText = null;
      this.#line.add(key);
      this.#echo.typed();
      this.#pass();
    }
  }

  #submits(key: Key): boolean {
    switch (key.kind) {
      case 'submit':
      case 'submit-and-next':
        return !(key.pasted && this.#pasteIsText === true);
      case 'edit-and-submit':
        return !key.pasted;
      case 'end-of-input':
        // In a line editor it is a key for editing; where there is none, it hands over what was typed.
        return !this.#screen.bracketedPaste && this.#line.leavesText;
      default:
        return false;
    }
  }

  /** The key that submits is first in the queue; what was typed before it has to be on its way to be echoed. */
  #await(): void {
    this.#flush();
    this.#state = 'echo';
    this.#decide(false);
    if (this.#state === 'echo') this.#wait();
  }

  #wait(): void {
    this.#cancelWait?.();
    const left = this.#echo.leftMs(this.#line.early);
    const unquiet = this.#line.whole ? 0 : this.#echo.unquietMs;
    this.#cancelWait = this.#time.after(unquiet > 0 ? Math.min(left, unquiet) : left, () => {
      this.#cancelWait = null;
      this.#decide(this.#echo.leftMs(this.#line.early) === 0);
      if (this.#state === 'echo') this.#wait();
      this.#pump();
    });
  }

  /** `late`: the echo has been waited for long enough. */
  #decide(late: boolean): void {
    this.#settle();
    const key = this.#queue[0]!;
    if (key.pasted && this.#pasteIsText === null && this.#screen.bracketedPaste) {
      // A line editor shows a paste when it is over, and its line breaks are text. Where the paste's mark itself is echoed,
      // nobody is there who knows of pastes.
      if (this.#line.shown().includes(pasteEcho)) this.#pasteIsText = false;
      else if (late) {
        this.#pasteIsText = true;
        this.#decided();
        return;
      } else return;
    }
    const reading = this.#screen.alternate ? null : this.#line.read(this.#echo.responded);
    const settled = this.#line.whole || this.#echo.unquietMs === 0;
    if (reading !== null && !(reading.agreed && settled) && !late) return;
    this.#decided();
    if (reading === null) this.#submit();
    else this.#tell(key, reading);
  }

  #decided(): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
    this.#state = 'open';
  }

  #tell(key: Key, reading: Reading): void {
    this.#line.keepPrompt(reading);
    const hidden = reading.hidden || key.kind === 'edit-and-submit';
    if (reading.text.trim() === '' && !hidden) {
      this.#submit();
      return;
    }
    const verdict = this.#owner.line({
      line: ++this.#lines,
      text: reading.text,
      how: this.#line.marked ? 'marked' : 'reconstructed',
      exact: reading.exact && !hidden,
      hidden,
      prompt: reading.prompt.slice(-promptLimit),
    });
    if (verdict === 'allow') this.#submit(reading, this.#line.whole ? null : this.#line.beginning);
    else if (verdict === 'deny') this.#clear(interruptByte);
    else {
      this.#state = 'held';
      this.#held = reading;
      this.#withdrawIfInterrupted();
    }
  }

  #submit(reading: Reading | null = null, check: Beginning | null = null): void {
    if (reading !== null)
      this.#running.submitted({ line: this.#lines, text: reading.text, marked: this.#line.marked, check });
    const filled = this.#queue[0]?.kind === 'submit-and-next';
    this.#pass();
    this.#line.next(filled);
  }

  /** Nothing of what waits goes; the target's line editor gives a fresh prompt for `interrupt`. `rest` goes after it. */
  #clear(interrupt: Buffer, rest: Key[] = []): void {
    this.#state = 'clearing';
    this.#held = null;
    this.#queue = rest;
    this.#waitingBytes = rest.reduce((sum, key) => sum + key.bytes.length, 0);
    this.#cancelWait = this.#time.after(clearMs, () => {
      this.#cancelWait = null;
      this.#state = 'open';
      this.#passing.push(interrupt);
      this.#line.next();
      if (this.#queue.length === 0)
        this.#cancelAgain = this.#time.after(againMs, () => this.#owner.forward(interrupt));
      this.#pump();
    });
  }

  #withdrawIfInterrupted(): void {
    const index = this.#queue.findLastIndex((key) => key.kind === 'interrupt');
    if (index === -1) return;
    this.#clear(this.#queue[index]!.bytes, this.#queue.slice(index + 1));
    this.#owner.withdrawn(this.#lines);
  }

  #pass(): void {
    const key = this.#queue.shift()!;
    this.#waitingBytes -= key.bytes.length;
    this.#passing.push(key.bytes);
  }

  #flush(): void {
    if (this.#passing.length === 0 || this.#state === 'closed') return;
    const bytes = this.#passing.length === 1 ? this.#passing[0]! : Buffer.concat(this.#passing);
    this.#passing = [];
    this.#owner.forward(bytes);
  }
}
