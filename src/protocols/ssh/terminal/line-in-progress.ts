/** The line that is being typed: where it begins on the screen, and what is known of the keys. */
import type { Key } from './keys.ts';
import { readLine } from './reading.ts';
import type { Beginning, Reading } from './reading.ts';
import type { Screen } from './screen.ts';
import { TypedLine } from './typed.ts';

export class LineInProgress {
  readonly #screen: Screen;
  #typed = new TypedLine();
  #beginning: Beginning | null = null;
  #earlier: Beginning | null = null;
  /** Where the shell says that its prompt ends; since the last line. */
  #marked: Beginning | null = null;
  #seen = false;
  #lastPrompt = '';
  /** Something has been shown since the last line was submitted. */
  #answered = true;
  /** The last line was submitted by a key that puts text behind the next prompt. */
  #filled = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  get leavesText(): boolean {
    return this.#typed.leavesText;
  }

  get beginning(): Beginning | null {
    return this.#beginning;
  }

  /** Typing began before the target had answered to the line before. */
  get early(): boolean {
    return this.#beginning?.early === true;
  }

  get marked(): boolean {
    return this.#beginning?.marked === true;
  }

  /** True while the keys alone say what the line is. */
  get whole(): boolean {
    return this.#typed.whole !== null;
  }

  /** The shell's prompt ends where the cursor is. */
  promptEnds(): void {
    const marked = this.#here(true);
    if (marked === null) return;
    this.#marked?.anchor.marker.dispose();
    this.#marked = marked;
    if (this.#beginning !== null) this.#beginning = marked;
  }

  /** A key is about to be passed on: the first one begins the line. */
  begin(): void {
    if (this.#beginning !== null) {
      if (!this.whole) this.#seen ||= this.shown().trim() !== '';
      return;
    }
    this.#beginning = this.#marked === null ? this.#afterPrompt() : this.#atMark(this.#marked);
  }

  /** The target has sent something. */
  answered(): void {
    this.#answered = true;
  }

  add(key: Key): void {
    this.#typed.add(key);
  }

  /** What stands between the beginning and the cursor. */
  shown(): string {
    const beginning = this.#beginning;
    if (beginning === null || beginning.anchor.marker.isDisposed) return '';
    const { column, marker } = beginning.anchor;
    return this.#screen.text({ row: Math.max(0, marker.line), column }, this.#screen.cursor);
  }

  /** Null when nothing was begun. */
  read(responded: boolean): Reading | null {
    if (this.#beginning === null) return null;
    const reading = readLine(this.#screen, {
      typed: this.#typed,
      beginning: this.#beginning,
      lastPrompt: this.#lastPrompt,
      responded,
      seen: this.#seen,
    });
    return reading;
  }

  /** `reading` stands: its prompt is what the next line's is known by. */
  keepPrompt({ found, exact, prompt }: Reading): void {
    if (found && exact && prompt.trim().length > 1) this.#lastPrompt = prompt;
    else if (found && exact && prompt.trim() !== '' && /\s$/u.test(prompt)) this.#lastPrompt = prompt;
  }

  /** The line is over; the next key begins another. `filled`: with text that stands there already. */
  next(filled = false): void {
    this.#earlier?.anchor.marker.dispose();
    this.#earlier = this.#beginning;
    if (this.#marked !== this.#beginning) this.#marked?.anchor.marker.dispose();
    this.#marked = null;
    this.#beginning = null;
    this.#seen = false;
    this.#answered = false;
    this.#filled = filled;
    this.#typed = new TypedLine();
  }

  #atMark(marked: Beginning): Beginning {
    const { row, column } = this.#screen.cursor;
    return { ...marked, right: this.#screen.row(row, column), rightColumn: column };
  }

  #afterPrompt(): Beginning | null {
    const here = this.#here(false);
    const last = this.#lastPrompt;
    if (this.#filled) this.#typed.prefilled();
    // Typed ahead of the prompt: it will look as the last one did.
    if (here !== null && !this.#answered) return { ...here, prompt: last, right: '', early: true };
    if (here === null || last === '' || here.prompt === last || !here.prompt.startsWith(last)) return here;
    // Behind the prompt of the line before stands text already: put there by Ctrl-O, `print -z` or a choice of fish.
    this.#typed.prefilled();
    const column = this.#screen.columnOf(this.#screen.cursor.row, last.length);
    return { ...here, anchor: { ...here.anchor, column }, prompt: last };
  }

  #here(marked: boolean): Beginning | null {
    const { row, column } = this.#screen.cursor;
    const anchor = this.#screen.anchor();
    if (anchor === null) return null;
    return {
      anchor,
      prompt: this.#screen.row(row, 0, column),
      right: marked ? '' : this.#screen.row(row, column),
      rightColumn: column,
      marked,
      early: false,
      losses: this.#screen.losses,
    };
  }
}
