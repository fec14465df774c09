/**
 * One command line, read off the screen: from where the prompt ends to the end of what is being edited.
 *
 * The screen shows more than the line: a prompt that may have been drawn anew, a prompt on the right, a suggestion after the
 * cursor, choices below it, the frame of a search. What was typed tells them apart where it can; `exact` is false wherever
 * the line as shown could be another than the program gets.
 */
import type { Anchor, Place, Screen } from './screen.ts';
import type { TypedLine } from './typed.ts';

/** How the screen was when the person began to type. */
export interface Beginning {
  readonly anchor: Anchor;
  /** The row's text before the cursor. */
  readonly prompt: string;
  /** The row's text from the cursor on, of this column. */
  readonly right: string;
  readonly rightColumn: number;
  /** The shell itself said that the prompt ends here. */
  readonly marked: boolean;
  /** Typing began before the target had answered to the last line: the anchor's row is another's. */
  readonly early: boolean;
  readonly losses: number;
}

export interface Reading {
  readonly text: string;
  readonly exact: boolean;
  /** Something was typed that the screen does not show. */
  readonly hidden: boolean;
  readonly prompt: string;
  /** The screen shows what was typed: there is no echo to wait for. */
  readonly agreed: boolean;
  /** The prompt's end was found for certain. */
  readonly found: boolean;
}

interface Start {
  readonly place: Place;
  readonly found: boolean;
  /** Characters that stand for the whole frame of a search, not for a prompt. */
  readonly search: boolean;
}

export interface Circumstances {
  readonly typed: TypedLine;
  readonly beginning: Beginning;
  /** The prompt of the line before. */
  readonly lastPrompt: string;
  /** The program has answered to the last key. */
  readonly responded: boolean;
  /** While the line was typed, some of it was seen. */
  readonly seen: boolean;
}

// `failed` stands for a search whose frame shows what was not found.
const search = /^\((failed |wrapped )?(?:reverse-|forward-)?i-search\)`[\s\S]*?': /;
const searchBelow = /^\(?(?:failing |invalid |corrupted )?(?:bck|fwd)-i-search: /;
const stars = /([*•●])\1*$/u;

/** A prompt is looked for so many rows above the cursor; a line is read so many rows below it. */
const rowsAbove = 200;
const rowsBelow = 100;

export function readLine(screen: Screen, at: Circumstances): Reading {
  const { typed, beginning } = at;
  const start = findStart(screen, beginning);
  const clip = rightPrompt(screen, beginning, start.place.row);
  const before = screen.text(start.place, screen.cursor, clip);
  const end = readEnd(screen, at, clip);
  const shown = (before + end.text).trimEnd();
  const frame = {
    prompt: beginning.prompt,
    found: start.found,
    exact: start.found && end.certain && screen.losses === beginning.losses,
  };
  const { whole } = typed;
  if (whole === null) return edited(at, { before, shown, frame }, start.search || end.search);
  return compared(screen, at, { whole, before, shown, frame });
}

interface Shown {
  readonly before: string;
  readonly shown: string;
  readonly frame: { readonly prompt: string; readonly found: boolean; readonly exact: boolean };
}

/** All that was typed is known: the screen has to show just that. */
function compared(
  screen: Screen,
  at: Circumstances,
  { whole, before, shown, frame }: Shown & { whole: string },
): Reading {
  const wanted = bare(whole);
  const told = (text: string, exact: boolean, hidden = false, agreed = true): Reading => ({
    ...frame,
    text,
    exact,
    hidden,
    agreed,
  });
  const intact = screen.losses === at.beginning.losses;
  // Case is not compared: fish proposes what differs in it alone, in the line itself.
  if (wanted.toLowerCase() === bare(shown).toLowerCase()) return told(whole.trimEnd(), intact);
  if (wanted === '') return told(shown, frame.exact);
  if (at.beginning.early && bare(sinceBeginning(screen, at.beginning)).includes(wanted))
    return told(whole.trimEnd(), intact);
  if (bare(before) === wanted) return told(shown, false);
  const row = logicalRow(screen);
  if (bare(row).endsWith(wanted)) {
    // Something stands between where the person began to type and what was typed: a prompt that came after, or text.
    const prompt = row.slice(0, frontOf(row, wanted));
    const expected = at.lastPrompt.trim() !== '' && prompt.endsWith(at.lastPrompt);
    const redrawn = !frame.found && endsAlike(prompt, at.beginning.prompt);
    if (expected || redrawn) return told(whole.trimEnd(), intact);
    return told(shown.endsWith(whole.trimEnd()) ? shown : whole.trimEnd(), false);
  }
  const masked = (stars.exec(bare(shown))?.[0].length ?? 0) >= [...wanted].length;
  const hidden = masked || !inOrder(wanted, bare(shown));
  // What came after, where typing began ahead of the prompt, is not the line.
  return told(masked || (hidden && at.beginning.early) ? '' : shown, false, hidden, false);
}

function sinceBeginning(screen: Screen, { anchor: { marker, column } }: Beginning): string {
  return marker.isDisposed ? '' : screen.text({ row: Math.max(0, marker.line), column }, screen.cursor);
}

/** History, completion, search or movement: the screen alone knows the line. */
function edited(at: Circumstances, { before, shown, frame }: Shown, searching: boolean): Reading {
  const { typed, responded } = at;
  const run = bare(typed.run);
  const echoed = run === '' || searching || bare(before).endsWith(run);
  const masked = stars.exec(bare(shown))?.index === 0;
  const nothing = shown.trim() === '' || masked;
  const hidden = nothing && typed.leavesText && (masked || !at.seen);
  const ahead =
    at.beginning.prompt !== at.lastPrompt && at.lastPrompt !== '' && shown.includes(at.lastPrompt);
  return {
    ...frame,
    text: masked ? '' : shown,
    exact: frame.exact && responded && echoed && !masked && !ahead,
    hidden,
    agreed: responded && echoed && !nothing && bare(shown).includes(bare(typed.lastRun)),
  };
}

/** Where the person's line begins: the shell's mark, the cursor's place of that time, or the same prompt elsewhere. */
function findStart(screen: Screen, beginning: Beginning): Start {
  const { cursor } = screen;
  const first = firstRow(screen, cursor.row);
  const frame = search.exec(
    screen.text({ row: first, column: 0 }, { row: cursor.row, column: screen.columns }),
  );
  if (frame !== null) return afterSearch(screen, first, frame);
  const { marker, column } = beginning.anchor;
  const { prompt } = beginning;
  const here =
    !beginning.early &&
    !marker.isDisposed &&
    marker.line >= 0 &&
    screen.row(marker.line, 0, column) === prompt;
  if (here && notAfter({ row: marker.line, column }, cursor))
    return { place: { row: marker.line, column }, found: true, search: false };
  if (prompt.trim() !== '')
    for (let row = cursor.row; row >= Math.max(0, cursor.row - rowsAbove); row--)
      if (screen.row(row).startsWith(prompt) && notAfter({ row, column }, cursor))
        return { place: { row, column }, found: true, search: false };
  return redrawn(screen, first, prompt);
}

/** The prompt is another one now: what it ended in, or the whole row. */
function redrawn(screen: Screen, row: number, prompt: string): Start {
  const ending = /\S\s*$/u.exec(prompt)?.[0] ?? '';
  const index = ending === '' ? -1 : screen.row(row).indexOf(ending);
  const column = index === -1 ? 0 : screen.columnOf(row, index + ending.length);
  const place = notAfter({ row, column }, screen.cursor) ? { row, column } : { row, column: 0 };
  return { place, found: false, search: false };
}

/** readline draws its search in the place of prompt and line; the line stands behind it. */
function afterSearch(screen: Screen, first: number, frame: RegExpExecArray): Start {
  let row = first;
  let index = frame[0].length;
  while (index >= screen.columns && screen.continues(row)) {
    index -= screen.row(row).length;
    row++;
  }
  const place = { row, column: screen.columnOf(row, index) };
  return {
    place: notAfter(place, screen.cursor) ? place : screen.cursor,
    found: frame[1] === undefined,
    search: true,
  };
}

interface End {
  readonly text: string;
  readonly certain: boolean;
  readonly search: boolean;
}

/** What stands after the cursor, as far as it belongs to the line. */
function readEnd(screen: Screen, { typed }: Circumstances, clip: Place | null): End {
  const { cursor } = screen;
  const last = lastRow(screen, cursor.row);
  const text = screen.text(cursor, { row: last, column: screen.columns }, clip).trimEnd();
  const proposed = text !== '' && suggested(screen, cursor, clip);
  const search = searchBelow.test(screen.row(last + 1));
  const below = typed.moved || typed.vertical ? textBelow(screen, last) : '';
  if (typed.moved) return { text: text + below, certain: below === '' && !proposed, search };
  if (text === '' || proposed) return { text: below, certain: below === '', search };
  // Far from the line: a prompt on the right that came while the line was typed.
  const apart = /^\s{2,}\S/u.test(text) && text.length + cursor.column >= screen.columns - 2;
  return { text: apart ? below : text + below, certain: false, search };
}

/** Where on the line's first row the prompt on the right begins, if it is still there. */
function rightPrompt(screen: Screen, { right, rightColumn }: Beginning, row: number): Place | null {
  const prompt = right.trim();
  if (prompt === '') return null;
  const column = rightColumn + right.length - right.trimStart().length;
  if (screen.row(row, column).trimEnd() !== prompt) return null;
  return screen.row(row, column - 1, column).trim() === '' ? { row, column } : null;
}

/** Rows below the cursor's, up to an empty one: the line may go on there when the cursor is not at its end. */
function textBelow(screen: Screen, last: number): string {
  let text = '';
  for (let row = last + 1; row < Math.min(screen.rows, last + rowsBelow); row++) {
    const part = screen.row(row).trimEnd();
    if (part === '' || searchBelow.test(part)) break;
    text += `\n${part}`;
  }
  return text;
}

/** Everything after the cursor is grey: proposed by the shell, typed by nobody. */
function suggested(screen: Screen, cursor: Place, clip: Place | null): boolean {
  for (let row = cursor.row; row <= lastRow(screen, cursor.row); row++)
    for (let column = row === cursor.row ? cursor.column : 0; column < screen.columns; column++) {
      if (clip !== null && row === clip.row && column >= clip.column) break;
      const cell = screen.cell(row, column);
      if (cell === null || cell.getChars().trim() === '') continue;
      if (!(cell.isDim() !== 0 || (cell.isFgPalette() && isGreyIndex(cell.getFgColor())) || isGreyRgb(cell)))
        return false;
    }
  return true;
}

function isGreyIndex(index: number): boolean {
  return index === 8 || (index >= 236 && index <= 248) || index === 59 || index === 102;
}

function isGreyRgb(cell: { isFgRGB(): boolean; getFgColor(): number }): boolean {
  if (!cell.isFgRGB()) return false;
  const colour = cell.getFgColor();
  const parts = [colour >> 16, (colour >> 8) & 0xff, colour & 0xff];
  return Math.max(...parts) < 0xb0 && Math.max(...parts) - Math.min(...parts) < 0x30;
}

function firstRow(screen: Screen, row: number): number {
  let first = row;
  while (first > Math.max(0, row - rowsAbove) && screen.continues(first - 1)) first--;
  return first;
}

function lastRow(screen: Screen, row: number): number {
  let last = row;
  while (last < row + rowsBelow && screen.continues(last)) last++;
  return last;
}

/** From the beginning of the cursor's line to the cursor. */
function logicalRow(screen: Screen): string {
  const { cursor } = screen;
  return screen.text({ row: firstRow(screen, cursor.row), column: 0 }, cursor);
}

function notAfter(a: Place, b: Place): boolean {
  return a.row < b.row || (a.row === b.row && a.column <= b.column);
}

/** Blanks stand and fall with where a row ends, so they are not compared. */
function bare(text: string): string {
  return text.replace(/\s+/gu, '');
}

/** Index in `row` at which its last `wanted` (bare) begins. */
function frontOf(row: string, wanted: string): number {
  let index = row.length;
  let left = wanted.length;
  while (index > 0 && left > 0) if (row[--index]!.trim() !== '') left--;
  return index;
}

/** Each character of `wanted` is there, perhaps with others between: an abbreviation that was written out. */
function inOrder(wanted: string, shown: string): boolean {
  let found = 0;
  for (let index = 0; index < shown.length && found < wanted.length; index++)
    if (shown[index] === wanted[found]) found++;
  return found === wanted.length;
}

function endsAlike(prompt: string, earlier: string): boolean {
  const ending = /\S\s*$/u.exec(earlier)?.[0];
  return ending !== undefined && prompt.endsWith(ending);
}

/** The line as it stands when the cursor has left it; null when it is not found there. */
export function shownAfterEnter(screen: Screen, beginning: Beginning): string | null {
  const { marker, column } = beginning.anchor;
  const left = screen.cursor.row - 1;
  if (
    beginning.early ||
    marker.isDisposed ||
    marker.line < 0 ||
    marker.line > left ||
    screen.losses !== beginning.losses
  )
    return null;
  if (screen.row(marker.line, 0, column) !== beginning.prompt) return null;
  const to = { row: lastRow(screen, left), column: screen.columns };
  const clip = rightPrompt(screen, beginning, marker.line);
  const shown = screen.text({ row: marker.line, column }, to, clip).trimEnd();
  return shown === '' ? null : shown;
}
