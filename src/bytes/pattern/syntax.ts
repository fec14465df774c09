/**
 * The language of patterns: a subset of regular expressions that an automaton can match without going back. Literals, `.`,
 * classes, groups, alternatives, `? * + {m,n}`, `\d \w \s`, `\b` at either end, `(?i)` in front. No anchors, back references,
 * look-around or lazy quantifiers.
 */

/** A pattern outside of the language, or too large; says where. */
export class PatternError extends Error {}

/** What a pattern means, over bytes. `set` has 256 entries. */
export type Node =
  | { readonly kind: 'set'; readonly set: ReadonlySet<number> }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly least: number; readonly most: number };

export interface Pattern {
  readonly node: Node;
  readonly boundaryBefore: boolean;
  readonly boundaryAfter: boolean;
}

const mostRepeats = 256;
const mostDepth = 20;

/** @throws PatternError with the place in the pattern */
export function parsePattern(text: string): Pattern {
  return new Parser(text).pattern();
}

const bytesOf = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const ascii = (text: string): number[] => Array.from(Buffer.from(text, 'latin1'));

const shorthand: Readonly<Record<string, readonly number[]>> = {
  d: bytesOf(48, 57),
  w: [...bytesOf(48, 57), ...bytesOf(65, 90), ...bytesOf(97, 122), 95],
  s: ascii(' \t\r\n\f\v'),
};
const control: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };

const set = (bytes: Iterable<number>): Node => ({ kind: 'set', set: new Set(bytes) });
const sequence = (...parts: readonly Node[]): Node => ({ kind: 'sequence', parts });

/** Any character of UTF-8 outside ASCII. */
const continuation = set(bytesOf(0x80, 0xbf));
const beyondAscii: readonly Node[] = [
  sequence(set(bytesOf(0xc2, 0xdf)), continuation),
  sequence(set(bytesOf(0xe0, 0xef)), continuation, continuation),
  sequence(set(bytesOf(0xf0, 0xf4)), continuation, continuation, continuation),
];
/** Any character but these of ASCII. */
const anyBut = (excluded: ReadonlySet<number>): Node => ({
  kind: 'choice',
  parts: [set(bytesOf(0, 127).filter((byte) => !excluded.has(byte))), ...beyondAscii],
});

function literal(char: string, fold: boolean): Node {
  const forms = fold ? [...new Set([char.toLowerCase(), char.toUpperCase()])] : [char];
  const parts = forms.map((form): Node => sequence(...[...Buffer.from(form)].map((byte) => set([byte]))));
  return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
}

/** A text that means itself, in any case with `fold`. */
export const literalPattern = (text: string, fold: boolean): Pattern => ({
  node: sequence(...Array.from(text, (char) => literal(char, fold))),
  boundaryBefore: false,
  boundaryAfter: false,
});

class Parser {
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;
  #fold = false;

  constructor(text: string) {
    this.#chars = Array.from(text);
  }

  pattern(): Pattern {
    if (this.#chars.slice(0, 4).join('') === '(?i)') {
      this.#fold = true;
      this.#at = 4;
    }
    const boundaryBefore = this.#boundary();
    const node = this.#choice();
    const boundaryAfter = this.#boundary();
    if (this.#at < this.#chars.length)
      throw this.#wrong(
        this.#peek() === ')' ? 'a bracket that was not opened' : '\\b stands at either end only',
      );
    return { node, boundaryBefore, boundaryAfter };
  }

  #boundary(): boolean {
    if (this.#peek() !== '\\' || this.#chars[this.#at + 1] !== 'b') return false;
    this.#at += 2;
    return true;
  }

  #choice(): Node {
    const parts = [this.#sequence()];
    while (this.#peek() === '|') {
      this.#at++;
      parts.push(this.#sequence());
    }
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (;;) {
      const char = this.#peek();
      if (char === undefined || char === '|' || char === ')') break;
      if (char === '\\' && this.#chars[this.#at + 1] === 'b') break;
      parts.push(this.#repeated(this.#atom()));
    }
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  #repeated(part: Node): Node {
    const counts = this.#quantifier();
    if (counts === null) return part;
    if (/[?*+{]/.test(this.#peek() ?? '')) throw this.#wrong('one quantifier at a time');
    return { kind: 'repeat', part, least: counts[0], most: counts[1] };
  }

  #quantifier(): readonly [number, number] | null {
    switch (this.#peek()) {
      case '?':
        this.#at++;
        return [0, 1];
      case '*':
        this.#at++;
        return [0, Infinity];
      case '+':
        this.#at++;
        return [1, Infinity];
      case '{':
        return this.#counts();
      default:
        return null;
    }
  }

  #counts(): readonly [number, number] {
    const rest = this.#chars.slice(this.#at).join('');
    const match = /^\{(\d{1,3})(,(\d{1,3})?)?\}/.exec(rest);
    if (match === null) throw this.#wrong('expected {m}, {m,} or {m,n}');
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === undefined ? Infinity : Number(match[3]);
    if (least > most || least > mostRepeats || (most !== Infinity && (most > mostRepeats || most === 0)))
      throw this.#wrong(`expected counts from 0 to ${mostRepeats}, the smaller first`);
    this.#at += match[0].length;
    return [least, most];
  }

  #atom(): Node {
    const char = this.#chars[this.#at++]!;
    if (char === '(') return this.#group();
    if (char === '[') return this.#class();
    if (char === '.') return anyBut(new Set([10]));
    if (char === '\\') return this.#escape();
    if (/[?*+{]/.test(char)) throw this.#wrong('a quantifier with nothing before it', -1);
    if (char === '^' || char === '$') throw this.#wrong('anchors are not supported; \\b is', -1);
    return literal(char, this.#fold);
  }

  #group(): Node {
    if (this.#peek() === '?') {
      if (this.#chars[this.#at + 1] !== ':')
        throw this.#wrong('look-around, names and flags are not supported');
      this.#at += 2;
    }
    if (++this.#depth > mostDepth) throw this.#wrong('too many brackets within one another');
    const node = this.#choice();
    this.#depth--;
    if (this.#chars[this.#at++] !== ')') throw this.#wrong('a bracket that is not closed', -1);
    return node;
  }

  #escape(): Node {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw this.#wrong('a backslash at the end', -1);
    const lower = char.toLowerCase();
    const members = shorthand[lower];
    if (members !== undefined) return char === lower ? set(members) : anyBut(new Set(members));
    const byte = control[char];
    if (byte !== undefined) return set([byte]);
    if (/[\p{L}\p{N}]/u.test(char)) throw this.#wrong(`\\${char} is not supported`, -1);
    return literal(char, this.#fold);
  }

  #class(): Node {
    const negated = this.#peek() === '^';
    if (negated) this.#at++;
    const members = new Set<number>();
    for (let first = true; this.#peek() !== ']' || first; first = false) {
      const from = this.#member(members);
      if (this.#peek() !== '-' || from === null || this.#chars[this.#at + 1] === ']') continue;
      this.#at++;
      const to = this.#member(members);
      if (to === null || to < from) throw this.#wrong('a range that goes backwards');
      for (let byte = from; byte <= to; byte++) members.add(byte);
    }
    this.#at++;
    if (this.#fold)
      for (const byte of members) if ((byte | 0x20) >= 97 && (byte | 0x20) <= 122) members.add(byte ^ 0x20);
    return negated ? anyBut(members) : set(members);
  }

  /** Adds one member; returns its byte, or null for a shorthand. */
  #member(members: Set<number>): number | null {
    let char = this.#chars[this.#at++];
    if (char === undefined) throw this.#wrong('a class that is not closed', -1);
    if (char === '\\') {
      char = this.#chars[this.#at++] ?? '';
      if (shorthand[char] !== undefined) {
        for (const byte of shorthand[char]!) members.add(byte);
        return null;
      }
      if (control[char] === undefined && /^[\p{L}\p{N}]?$/u.test(char))
        throw this.#wrong(`\\${char} is not supported`, -1);
    }
    const byte =
      control[char] !== undefined && this.#chars[this.#at - 2] === '\\'
        ? control[char]!
        : char.codePointAt(0)!;
    if (byte > 127) throw this.#wrong('classes hold characters of ASCII only', -1);
    members.add(byte);
    return byte;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #wrong(message: string, offset = 0): PatternError {
    return new PatternError(`character ${this.#at + offset + 1}: ${message}`);
  }
}
