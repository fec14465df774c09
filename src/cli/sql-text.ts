/**
 * A command's text for people who have to judge it. It was written by somebody else and is hostile until proven otherwise:
 * whatever a terminal would act on, hide or reorder is shown as an escape; every line begins with its number, also where a
 * long one is broken, so that no line of it can pass for one of hoop's; a long run of empty lines is counted, not shown.
 */
import { colour } from './colour.ts';
import { isKeyword } from './sql-keywords.ts';

/** Null: as wide as it is (no terminal). */
export interface TextSurface {
  readonly width: number | null;
}

/** Standard output as it is now. */
export const textSurface = (): TextSurface => ({
  width: process.stdout.isTTY ? process.stdout.columns : null,
});

/** Empty lines in a row that are shown as such. */
const emptyLinesShown = 2;
const narrowestText = 20;

/** Lines ready to print, coloured as SQL. */
export const sqlLines = (text: string, surface: TextSurface): Generator<string> =>
  numbered([...highlighted(text, tokens)], surface);

/** The same for a text that is no SQL: a parameter's value. */
export const plainLines = (text: string, surface: TextSurface): Generator<string> =>
  numbered([...highlighted(text, untokened)], surface);

function* numbered(lines: readonly Cell[][], surface: TextSurface): Generator<string> {
  const digits = String(lines.length).length;
  const room = surface.width === null ? Infinity : Math.max(surface.width - digits - 5, narrowestText);
  for (let at = 0; at < lines.length; at++) {
    let empty = 0;
    while (at + empty < lines.length && isEmpty(lines[at + empty]!)) empty++;
    if (empty > emptyLinesShown) {
      yield `  ${colour.dim(`${' '.repeat(digits)} ┊ ${empty} empty lines`)}`;
      at += empty - 1;
      continue;
    }
    let label = String(at + 1).padStart(digits);
    for (const row of broken(lines[at]!, room)) {
      yield `  ${colour.dim(`${label} │`)} ${row}`;
      label = ' '.repeat(digits);
    }
  }
}

/**
 * One line for lists: escapes as above, every run of blanks and line ends one blank, cut.
 * @param excerpt false: there is more than `text`
 */
export function sqlExcerpt(text: string, isAll: boolean, longest = 60): string {
  const line = [...escaped(text.replaceAll(/[ \t\r\n]+/g, ' ').trim())].map(({ shown }) => shown).join('');
  const characters = Array.from(line);
  if (characters.length <= longest) return isAll ? line : `${line} …`;
  return `${characters.slice(0, longest - 1).join('')}…`;
}

/** True when characters outside ASCII stand where names and keywords do: they may look like others. */
export function hasForeignNames(text: string): boolean {
  for (const { kind, text: part } of tokens(text))
    if (kind === 'plain' && /\P{ASCII}/u.test(part)) return true;
  return false;
}

type Kind = 'plain' | 'word' | 'number' | 'string' | 'comment';
type Paint = (text: string) => string;

/** Something shown for something typed. */
interface Cell {
  readonly shown: string;
  /** Columns that it takes. */
  readonly columns: number;
  readonly paint: Paint;
}

const plain: Paint = (text) => text;
const escapePaint: Paint = (text) => colour.inverse(text);
const paints: Readonly<Record<Kind, Paint>> = {
  plain,
  word: plain,
  number: (text) => colour.cyan(text),
  string: (text) => colour.green(text),
  comment: (text) => colour.dim(text),
};

interface Token {
  readonly kind: Kind;
  readonly text: string;
}

const untokened = (text: string): readonly Token[] => [{ kind: 'plain', text }];

function* highlighted(text: string, tokensOf: (text: string) => Iterable<Token>): Generator<Cell[]> {
  let line: Cell[] = [];
  for (const { kind, text: part } of tokensOf(text.replaceAll('\r\n', '\n'))) {
    const paint = kind === 'word' && isKeyword(part) ? colour.bold.blue : paints[kind];
    for (const [index, piece] of part.split('\n').entries()) {
      if (index > 0) {
        yield line;
        line = [];
      }
      for (const { shown, isEscape } of escaped(piece))
        line.push({
          shown,
          columns: isEscape ? shown.length : columnsOf(shown),
          paint: isEscape ? escapePaint : paint,
        });
    }
  }
  yield line;
}

const isEmpty = (line: readonly Cell[]): boolean => line.every(({ shown }) => shown.trim() === '');

/** Rows of at most `room` columns; neighbours of one colour are painted together. */
function* broken(line: readonly Cell[], room: number): Generator<string> {
  let row = '';
  let columns = 0;
  let run = '';
  let paint: Paint = plain;
  const flush = (): void => {
    if (run !== '') row += paint(run);
    run = '';
  };
  for (const cell of line) {
    if (columns + cell.columns > room && columns > 0) {
      flush();
      yield row;
      row = '';
      columns = 0;
    }
    if (cell.paint !== paint) flush();
    paint = cell.paint;
    run += cell.shown;
    columns += cell.columns;
  }
  flush();
  yield row;
}

/** Letters of East Asia and pictures take two columns. */
const columnsOf = (character: string): number =>
  /[\u1100-\u115f\u2e80-\uffdc\u{1f000}-\u{3fffd}]/u.test(character) ? 2 : 1;

/**
 * Not shown as itself: controls, marks that reorder, hide or join (categories Cc, Cf, Zl, Zp), combining marks and blanks
 * that look like others, lone surrogates, and what no character is assigned to.
 */
const unsafe =
  /\p{Cc}|\p{Cf}|\p{Cs}|\p{Co}|\p{Cn}|\p{Zl}|\p{Zp}|\p{Mn}|\p{Me}|(?! )\p{Zs}|[\u{115f}\u{1160}\u{2800}\u{3164}\u{ffa0}]/u;

function* escaped(text: string): Generator<{ shown: string; isEscape: boolean }> {
  for (const character of text) {
    if (character === '\t') yield { shown: '    ', isEscape: false };
    else if (unsafe.test(character)) yield { shown: escapeOf(character), isEscape: true };
    else yield { shown: character, isEscape: false };
  }
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x10000
    ? `\\u${code.toString(16).padStart(4, '0')}`
    : `\\U${code.toString(16).padStart(8, '0')}`;
}

/** What PostgreSQL's lexer would take for one thing, as far as colour needs it; nothing is lost, whatever the text. */
const token =
  /(?<comment>--[^\n]*)|(?<string>'(?:[^']|'')*'?|"(?:[^"]|"")*"?)|(?<dollar>\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)|(?<block>\/\*)|(?<word>[A-Za-z_][\w$]*)|(?<number>\d[\w.]*)|[^]/gu;

function* tokens(text: string): Generator<Token> {
  token.lastIndex = 0;
  const pattern = new RegExp(token);
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const { comment, string, dollar, block, word, number } = match.groups ?? {};
    let end = pattern.lastIndex;
    let kind: Kind = 'plain';
    if (block !== undefined) {
      end = endOfComment(text, end);
      kind = 'comment';
    } else if (dollar !== undefined) {
      const close = text.indexOf(dollar, end);
      end = close === -1 ? text.length : close + dollar.length;
      kind = 'string';
    } else if (comment !== undefined) kind = 'comment';
    else if (string !== undefined) kind = 'string';
    else if (word !== undefined) kind = 'word';
    else if (number !== undefined) kind = 'number';
    pattern.lastIndex = end;
    yield { kind, text: text.slice(match.index, end) };
  }
}

/** Comments nest. */
function endOfComment(text: string, from: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  for (let depth = 1; depth > 0;) {
    const match = mark.exec(text);
    if (match === null) return text.length;
    depth += match[0] === '/*' ? 1 : -1;
  }
  return mark.lastIndex;
}
