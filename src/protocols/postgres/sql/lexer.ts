/**
 * Where the quoted parts of a text begin and end, as PostgreSQL's scanner (`scan.l`) has it: the part of the grammar that
 * depends on settings of the session. `standard_conforming_strings` decides whether a backslash in '…' is an escape, and
 * the client's encoding whether a byte that looks like ASCII belongs to the letter before it. A client can change both
 * in the same packet, so neither is believed: a text is read in every way that is possible, or not at all.
 */

/** The largest text of which nothing is counted. */
const harmlessBytes = 4096;
/** Of a text over `harmlessBytes`; about 1.5 µs each bound the time of a parse. */
const mostTokens = 32_000;
/**
 * The scanner looks at a whole run of operator bytes for each operator and each beginning of a comment in it, so that its
 * time grows with the square of the run. This is how many bytes it may look at in vain.
 */
const mostLookedAt = 4_000_000;

export interface Readings {
  /** The text itself may be legal with standard_conforming_strings on (the default since 2010). */
  readonly conforming: boolean;
  /**
   * The same under `off`, written so that it reads alike under `on`: literals with a backslash are `'?'`. Null: it is not
   * legal then. The text itself when both readings are one.
   */
  readonly escaping: Uint8Array | null;
}

/** Null: the text may mean something else in another encoding, ends before its end, or is too expensive to parse. */
export function readingsOf(text: Uint8Array): Readings | null {
  if (text.includes(0)) return null;
  if (!needsReading(text)) return { conforming: true, escaping: text };
  const escaping = new Lexer(text, true);
  const escaped = escaping.run();
  if (escaped === 'refused') return null;
  if (escaped === 'legal' && !escaping.differs) return { conforming: true, escaping: text };
  const conforming = new Lexer(text, false);
  const result = conforming.run();
  if (result === 'refused') return null;
  return {
    conforming: result === 'legal',
    escaping: escaped === 'legal' ? escaping.rewritten() : null,
  };
}

/** Bytes that may be the second of a two-byte letter (SJIS, BIG5, GBK, UHC, JOHAB) and are no letters themselves. */
const isTrap = (byte: number): boolean =>
  byte === 0x40 || (byte >= 0x5b && byte <= 0x60 && byte !== 0x5f) || (byte >= 0x7b && byte <= 0x7e);
/** The two letters of SHIFT_JIS_2004 that become ASCII: a backslash and `~`. */
const isHiddenBackslash = (byte: number, next: number): boolean => byte === 0x81 && next === 0x5f;
const isHiddenTilde = (byte: number, next: number): boolean => byte === 0x81 && next === 0xb0;

function needsReading(text: Uint8Array): boolean {
  if (text.length > harmlessBytes) return true;
  let dollar = false;
  let beyondAscii = false;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at]!;
    if (byte === 0x5c || byte === 0x0b) return true;
    if (byte === 0x24) dollar = true;
    if (byte < 0x80) continue;
    beyondAscii = true;
    const next = text[at + 1] ?? 0;
    if (isTrap(next) || isHiddenBackslash(byte, next) || isHiddenTilde(byte, next)) return true;
  }
  return dollar && beyondAscii;
}

/** The quote or backslash at `at` may stand behind a hidden backslash in another encoding, or be half a letter. */
export function mayBeEscaped(text: Uint8Array, at: number): boolean {
  const before = text[at - 1]!;
  return (text[at] === 0x5c && before >= 0x80) || isHiddenBackslash(text[at - 2]!, before);
}

const isLetter = (byte: number): boolean =>
  (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f || byte >= 0x80;
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d && byte !== 0x0b);
const isNewline = (byte: number): boolean => byte === 0x0a || byte === 0x0d;
const isOperator = new Uint8Array(256);
for (const byte of Buffer.from('~!@#^&|`?+-*/%<>=')) isOperator[byte] = 1;

type Result = 'legal' | 'illegal' | 'refused';

class Lexer {
  readonly #text: Uint8Array;
  /** A backslash in a plain literal is an escape. */
  readonly #escapes: boolean;
  #at = 0;
  #tokens = 0;
  /** End of the run of operator bytes last seen, and how many bytes of runs were looked at. */
  #runEnd = 0;
  #lookedAt = 0;
  result: Result = 'legal';
  /** A plain literal ends elsewhere than it would under the other setting. */
  differs = false;
  /** Starts and ends of the plain literals with a backslash in them, in turn. */
  readonly #literals: number[] = [];

  constructor(text: Uint8Array, escapes: boolean) {
    this.#text = text;
    this.#escapes = escapes;
  }

  run(): Result {
    while (this.#at < this.#text.length && this.result === 'legal') this.#token();
    const tooMuch = this.#tokens > mostTokens || this.#lookedAt > mostLookedAt;
    if (this.#text.length > harmlessBytes && tooMuch) this.result = 'refused';
    return this.result;
  }

  rewritten(): Uint8Array {
    const parts: Uint8Array[] = [];
    let from = 0;
    for (let index = 0; index < this.#literals.length; index += 2) {
      parts.push(this.#text.subarray(from, this.#literals[index]!), Buffer.from("'?'"));
      from = this.#literals[index + 1]!;
    }
    parts.push(this.#text.subarray(from));
    return Buffer.concat(parts);
  }

  #byte(offset = 0): number {
    return this.#text[this.#at + offset] ?? 0;
  }

  #token(): void {
    const byte = this.#byte();
    if (isSpace(byte)) {
      this.#at += 1;
      return;
    }
    this.#tokens += 1;
    if (isLetter(byte)) this.#word();
    else if (byte === 0x27) this.#literal(this.#escapes, true);
    else if (byte === 0x22) this.#identifier();
    else if (byte === 0x24) this.#dollar();
    else if (byte === 0x2d && this.#byte(1) === 0x2d) this.#lineComment();
    else if (byte === 0x2f && this.#byte(1) === 0x2a) this.#comment();
    else if (isOperator[byte] === 1) this.#operators();
    else if (byte === 0x5c) this.result = 'illegal';
    else if (byte === 0x0b)
      this.result = 'refused'; // white space since PostgreSQL 16, an error before
    else this.#at += 1;
  }

  #operators(): void {
    const start = this.#at;
    this.#lookAtRun();
    while (isOperator[this.#byte()] === 1 && !this.#startsComment()) this.#at += 1;
    // `+-+-` is four operators.
    this.#lookedAt += (this.#runEnd - start) * (this.#at - start - 1);
  }

  #lookAtRun(): void {
    if (this.#runEnd <= this.#at) {
      this.#runEnd = this.#at;
      while (isOperator[this.#text[this.#runEnd] ?? 0] === 1) this.#runEnd += 1;
    }
    this.#lookedAt += this.#runEnd - this.#at;
  }

  #startsComment(): boolean {
    const byte = this.#byte();
    const next = this.#byte(1);
    return (byte === 0x2d && next === 0x2d) || (byte === 0x2f && next === 0x2a);
  }

  /** A name or a key word, or the prefix of a literal. */
  #word(): void {
    const start = this.#at;
    let byte = this.#byte();
    while (isLetter(byte) || isDigit(byte) || byte === 0x24) {
      const next = this.#byte(1);
      if (byte >= 0x80 && (isTrap(next) || isHiddenTilde(byte, next))) {
        this.result = 'refused';
        return;
      }
      this.#at += 1;
      byte = next;
    }
    if (this.#at !== start + 1) return;
    const prefix = this.#text[start]! | 0x20;
    if (byte === 0x27 && prefix === 0x65)
      this.#literal(true, false); // E'…'
    else if (byte === 0x27 && (prefix === 0x62 || prefix === 0x78))
      this.#bits(); // B'…', X'…'
    else if (byte === 0x26 && prefix === 0x75) this.#unicode();
  }

  /** U&'…' and U&"…": their backslashes never hide a quote. */
  #unicode(): void {
    const quote = this.#byte(1);
    if (quote !== 0x27 && quote !== 0x22) return;
    this.#at += 1;
    if (quote === 0x22) this.#identifier();
    else if (this.#escapes) this.result = 'illegal';
    else this.#literal(false, false);
  }

  /** From its quote to the end of its last part: parts on following lines belong to it. */
  #literal(escapes: boolean, plain: boolean): void {
    const start = this.#at;
    let backslash = false;
    do {
      this.#at += 1;
      for (; ; this.#at += 1) {
        if (this.#at >= this.#text.length) {
          this.result = 'illegal';
          return;
        }
        const byte = this.#byte();
        if ((byte === 0x27 || byte === 0x5c) && mayBeEscaped(this.#text, this.#at)) {
          this.result = 'refused';
          return;
        }
        if (byte === 0x27) {
          if (this.#byte(1) !== 0x27) break;
          this.#at += 1;
        } else if (byte === 0x5c) {
          backslash = true;
          if (escapes) this.#escape(plain);
          if (this.result !== 'legal') return;
        }
      }
      this.#at += 1;
    } while (this.#continues());
    if (plain && backslash) this.#literals.push(start, this.#at);
  }

  /** At a backslash: steps over what it escapes, but the last byte. */
  #escape(plain: boolean): void {
    const next = this.#byte(1);
    if (plain && next === 0x27) this.differs = true;
    const digits = next === 0x75 ? 4 : next === 0x55 ? 8 : 0;
    for (let index = 0; index < digits; index += 1)
      if (!isHex(this.#byte(2 + index))) {
        this.result = 'illegal';
        return;
      }
    this.#at += 1;
  }

  #bits(): void {
    do {
      const end = this.#text.indexOf(0x27, this.#at + 1);
      if (end < 0) this.result = 'illegal';
      this.#at = end < 0 ? this.#text.length : end + 1;
    } while (this.result === 'legal' && this.#continues());
  }

  /** After a closing quote: white space with a newline in it, then a quote, go on with the same literal. */
  #continues(): boolean {
    let at = this.#at;
    let newline = false;
    for (;;) {
      const byte = this.#text[at] ?? 0;
      if (isNewline(byte)) newline = true;
      else if (byte === 0x2d && this.#text[at + 1] === 0x2d) {
        while (at + 1 < this.#text.length && !isNewline(this.#text[at + 1]!)) at += 1;
      } else if (!isSpace(byte)) break;
      at += 1;
    }
    if (!newline || this.#text[at] !== 0x27) return false;
    this.#at = at;
    return true;
  }

  #identifier(): void {
    let end = this.#text.indexOf(0x22, this.#at + 1);
    while (end >= 0 && this.#text[end + 1] === 0x22) end = this.#text.indexOf(0x22, end + 2);
    if (end < 0) this.result = 'illegal';
    this.#at = end < 0 ? this.#text.length : end + 1;
  }

  #dollar(): void {
    let at = this.#at + 1;
    if (isDigit(this.#text[at] ?? 0)) {
      this.#at = at; // a parameter
      return;
    }
    let beyondAscii = false;
    for (; ; at += 1) {
      const byte = this.#text[at] ?? 0;
      if (!isLetter(byte) && (at === this.#at + 1 || !isDigit(byte))) break;
      beyondAscii ||= byte >= 0x80;
    }
    // Two spellings of a tag may be one in another encoding: SJIS has some letters twice.
    if (beyondAscii) this.result = 'refused';
    else if (this.#text[at] !== 0x24) this.result = 'illegal';
    if (this.result !== 'legal') return;
    const quote = Buffer.from(this.#text.buffer, this.#text.byteOffset + this.#at, at + 1 - this.#at);
    const whole = Buffer.from(this.#text.buffer, this.#text.byteOffset, this.#text.length);
    const end = whole.indexOf(quote, at + 1);
    if (end < 0) this.result = 'illegal';
    this.#at = end < 0 ? this.#text.length : end + quote.length;
  }

  #lineComment(): void {
    while (this.#at < this.#text.length && !isNewline(this.#byte())) this.#at += 1;
  }

  #comment(): void {
    let depth = 0;
    do {
      const byte = this.#byte();
      const next = this.#byte(1);
      if (byte === 0x2f && next === 0x2a) {
        depth += 1;
        this.#lookAtRun();
      } else if (byte === 0x2a && next === 0x2f) depth -= 1;
      else {
        this.#at += 1;
        continue;
      }
      this.#at += 2;
    } while (depth > 0 && this.#at < this.#text.length);
    if (depth > 0) this.result = 'illegal';
  }
}
