/**
 * The most frequent values confirmed where they were found, before JavaScript is entered: addresses of plain ASCII, card numbers
 * of sixteen digits, social security numbers with hyphens. It decides only what the detectors (`email.ts`, `card.ts`,
 * `national-ids.ts`) would decide alike, whichever of them are asked; everything else is `unsure`, and they are asked. Their
 * tests and the property tests compare both.
 *
 * Bytes of value zero stand before and behind each value, so that nothing is read over its ends.
 */
import { classes, digit, hostName, letter, localPart } from '../detectors/bytes.ts';
import { detectorId } from '../detectors/catalog.ts';
import { fileEndings } from '../detectors/email.ts';
import { at, first, input, inputAt, kindsAt, label, next, result, walked, window } from './memory.ts';
import { block, get, i32, i64, i8x16, leaveIf, set, tee, when, whileLoop } from '../../bytes/wasm.ts';
import type { Code } from '../../bytes/wasm.ts';

/** Beside the ids of detectors. */
export const outcomes = { unsure: -1, refused: -2 } as const;

/** What is asked about a byte. */
const Kind = {
  /** A letter or digit. */
  word: 1,
  letter: 2,
  /** Of the part of an address before `@`. */
  local: 4,
  /** Of a host name, or the full stop between two labels. */
  host: 8,
  /** Before a label. */
  opens: 16,
  /** Beside an address: it may go on outside ASCII, be behind an escape, or be none (`git@host:`). */
  besideMail: 32,
  /** Before a number: part of a word, an escape or a decimal. */
  beforeNumber: 64,
  /** Behind a number: of a word, or between two groups. */
  behindNumber: 128,
} as const;

const hyphen = 0x2d;
const stop = 0x2e;
const zero = 0x30;
const atSign = 0x40;

function kindsOf(byte: number): number {
  const flags = classes[byte]!;
  const char = String.fromCharCode(byte);
  const ascii = byte < 0x80;
  const word = (flags & (digit | letter)) !== 0;
  let kind = 0;
  if (word) kind |= Kind.word;
  if ((flags & letter) !== 0) kind |= Kind.letter;
  if (ascii && (flags & (digit | letter | localPart)) !== 0) kind |= Kind.local;
  if (ascii && ((flags & hostName) !== 0 || char === '.')) kind |= Kind.host;
  if ('@.'.includes(char)) kind |= Kind.opens;
  if (!ascii || '\\:'.includes(char)) kind |= Kind.besideMail;
  if (word || '.\\'.includes(char)) kind |= Kind.beforeNumber;
  if (word || ' -./'.includes(char)) kind |= Kind.behindNumber;
  return kind;
}

/** By byte; at `kindsAt`. */
export const kindsOfBytes = Uint8Array.from({ length: 256 }, (_, byte) => kindsOf(byte));

/** The byte `offset` behind the position that a local holds; bytes and numbers from there on. */
const byteAt = (position: number, offset = 0): Code => i32.load8(get(position), inputAt + offset);
const bytesAt = (position: number, offset = 0): Code => i32.load(get(position), inputAt + offset);
const kindAt = (position: number, offset = 0): Code => i32.load8(byteAt(position, offset), kindsAt);
const has = (kinds: Code, wanted: number): Code => i32.and(kinds, i32.const(wanted));
const is = (value: Code, wanted: number): Code => i32.eq(value, i32.const(wanted));
const move = (position: number, by: number): Code => set(position, i32.add(get(position), i32.const(by)));
const between = (from: number, to: number): Code => i32.sub(get(to), get(from));
const either = (...conditions: readonly Code[]): Code => conditions.reduce((a, b) => i32.or(a, b));
const outcome = (value: number): Code => set(result, i32.const(value));
/** The detector is asked. */
const unsureIf = leaveIf;
const unsureUnless = (condition: Code): Code => leaveIf(i32.eqz(condition));

/** A longer local part, or domain, is looked at by the detector. */
const longestPart = 63;

/** The last label is the ending of a file: three or four letters. */
const isFileEnding = either(
  ...fileEndings.map((ending) => {
    const word = Buffer.alloc(4);
    word.set(ending);
    const lower = i32.or(bytesAt(label), i32.const(0x20202020));
    const letters = ending.length === 4 ? lower : has(lower, 0xffffff);
    return i32.and(is(between(label, next), ending.length), is(letters, word.readInt32LE()));
  }),
);

/** An address around the `@` at `at`. */
const email: Code = block(
  set(first, get(at)),
  whileLoop(has(kindAt(first, -1), Kind.local), move(first, -1)),
  unsureIf(i32.gtU(between(first, at), i32.const(longestPart))),
  // or there is none: `@` is neither
  unsureUnless(either(has(kindAt(first), Kind.word), is(byteAt(first), 0x5f))),
  unsureIf(either(has(kindAt(first, -1), Kind.besideMail), is(byteAt(at, -1), stop))),
  set(next, i32.add(get(at), i32.const(1))),
  whileLoop(
    has(tee(walked, kindAt(next)), Kind.host),
    // labels begin with a letter or digit
    leaveIf(
      i32.and(i32.ne(has(kindAt(next, -1), Kind.opens), i32.const(0)), i32.eqz(has(get(walked), Kind.word))),
      1,
    ),
    move(next, 1),
  ),
  unsureIf(i32.gtU(between(at, next), i32.const(longestPart))),
  unsureIf(has(kindAt(next), Kind.besideMail)),
  set(label, get(next)),
  whileLoop(has(kindAt(label, -1), Kind.letter), move(label, -1)),
  unsureIf(i32.ltU(between(label, next), i32.const(2))),
  unsureUnless(is(byteAt(label, -1), stop)),
  unsureIf(isFileEnding),
  outcome(detectorId.email),
);

/** Luhn's check of the sixteen digits at `at`: every other one counts twice, from the first on. */
const luhn: Code[] = [
  set(input, i8x16.sub(i8x16.load(get(at), inputAt), i8x16.splat(zero))),
  set(input, i8x16.add(get(input), i8x16.and(get(input), i8x16.splat16(0x00ff)))),
  set(input, i8x16.sub(get(input), i8x16.and(i8x16.gtU(get(input), i8x16.splat(9)), i8x16.splat(9)))),
];
const luhnSum = i32.wrap(
  i64.shrU(
    i64.mul(i64.add(i8x16.half(get(input), 0), i8x16.half(get(input), 1)), i64.const(0x0101010101010101n)),
    i64.const(56n),
  ),
);

/** Sixteen digits and no more: no other detector takes so many. Visa's and Mastercard's older range; others are asked about. */
const card: Code = block(
  leaveIf(i32.ne(lowBits(17), i32.const(0xffff))),
  set(first, get(at)),
  set(next, i32.add(get(at), i32.const(16))),
  outcome(outcomes.refused),
  leaveIf(has(kindAt(next), Kind.word)),
  ...luhn,
  leaveIf(i32.remU(luhnSum, i32.const(10))),
  outcome(outcomes.unsure),
  when(
    either(
      is(byteAt(at), 0x34),
      i32.and(is(byteAt(at), 0x35), i32.ltU(i32.sub(byteAt(at, 1), i32.const(0x31)), i32.const(5))),
    ),
    outcome(detectorId.card),
  ),
);

/** `123-45-6789`: no other detector takes it, or more. */
const ssn: Code = block(
  leaveIf(i32.ne(lowBits(12), i32.const(0b0111_1011_0111))),
  set(first, get(at)),
  set(next, i32.add(get(at), i32.const(11))),
  unsureUnless(i32.and(is(byteAt(at, 3), hyphen), is(byteAt(at, 6), hyphen))),
  unsureIf(has(kindAt(next), Kind.behindNumber)),
  unsureIf(
    either(
      is(has(bytesAt(at), 0xffffff), 0x303030),
      is(has(bytesAt(at), 0xffffff), 0x363636),
      is(byteAt(at), 0x39),
      is(has(bytesAt(at, 4), 0xffff), 0x3030),
      is(bytesAt(at, 7), 0x30303030),
    ),
  ),
  outcome(detectorId['us-ssn']),
);

/** `window`, which has the digits from `at` on: of the first positions. */
function lowBits(count: number): Code {
  return has(i32.wrap(get(window)), 2 ** count - 1);
}

/** Sets `result`, and `first` and `next` to the ends of what is confirmed. */
export function confirmed(
  { mails, cards, ssns }: { mails: boolean; cards: boolean; ssns: boolean },
  digits: Code,
): Code {
  return [
    outcome(outcomes.unsure),
    mails ? when(is(byteAt(at), atSign), email) : [],
    cards || ssns
      ? when(
          i32.ltU(i32.sub(byteAt(at), i32.const(zero)), i32.const(10)),
          when(
            i32.eqz(has(kindAt(at, -1), Kind.beforeNumber)),
            set(window, digits),
            cards ? card : [],
            ssns ? ssn : [],
          ),
        )
      : [],
  ].flat();
}
