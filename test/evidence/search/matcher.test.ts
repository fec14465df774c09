/** The matcher against what a regular expression says of every piece of the text, one by one. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileMatcher, type SearchPattern } from '../../../src/evidence/search/matcher.ts';

type Place = readonly [start: number, end: number];

function found(pattern: SearchPattern, text: string): Place[] {
  // Something stands around the text: neither may be looked at.
  const bytes = Buffer.from(`ab${text}ab`);
  const places: [number, number][] = [];
  const end = bytes.length - 2;
  compileMatcher(pattern).find(bytes, 2, end, (from, to) => places.push([from - 2, to - 2]));
  return places;
}

const word = (char: string | undefined): boolean => char !== undefined && /\w/.test(char);

/** By the definition alone: ends first, begins earliest, then as long as it goes on. Texts of ASCII. */
function expected(source: string, flags: string, text: string): Place[] {
  const [, before, core, after] = /^(\\b)?(.*?)(\\b)?$/s.exec(source)!;
  const whole = new RegExp(`^(?:${core})$`, flags);
  const border = (at: number): boolean => word(text[at - 1]) !== word(text[at]);
  const isMatch = (start: number, end: number): boolean => {
    const piece = text.slice(start, end);
    return (
      !piece.includes('\n') &&
      whole.test(piece) &&
      (before === undefined || border(start)) &&
      (after === undefined || border(end))
    );
  };
  const places: Place[] = [];
  for (let from = 0; from < text.length;) {
    let place: Place | null = null;
    for (let end = from + 1; end <= text.length && place === null; end++)
      for (let start = from; start < end && place === null; start++)
        if (isMatch(start, end)) place = [start, end];
    if (place === null) break;
    for (let end = text.length; end > place[1]; end--)
      if (isMatch(place[0], end)) {
        place = [place[0], end];
        break;
      }
    places.push(place);
    from = place[1];
  }
  return places;
}

const letter = fc.constantFrom('a', 'b', 'A', 'B', '_', '-', ' ', '\n');
const text = fc.array(letter, { maxLength: 24 }).map((letters) => letters.join(''));

const { regex } = fc.letrec<{ regex: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { maxDepth: 2, depthSize: 'xsmall', withCrossShrink: true },
    fc.constantFrom('a', 'b', 'A', '_', '.', '\\w', '\\W', '\\s', '[ab]', '[^a]', '-', 'ab', 'ba'),
    tie('regex').map((inner) => `(${inner})`),
  ),
  regex: fc
    .array(
      fc
        .array(fc.tuple(tie('atom'), fc.constantFrom('', '', '', '?', '*', '+', '{2}', '{1,3}')), {
          minLength: 1,
          maxLength: 3,
        })
        .map((parts) =>
          parts.map(([atom, times]) => (atom.length > 1 ? `(${atom})` : atom) + times).join(''),
        ),
      { minLength: 1, maxLength: 2 },
    )
    .map((choices) => choices.join('|')),
}));

const bordered = fc
  .tuple(fc.boolean(), regex, fc.boolean())
  .map(([before, core, after]) => `${before ? '\\b' : ''}(${core})${after ? '\\b' : ''}`);

test('patterns: exactly what the definition says, whatever is looked for first', () => {
  let compared = 0;
  fc.assert(
    fc.property(bordered, text, fc.boolean(), (source, within, ignoreCase) => {
      const plain = source.replaceAll('\\b', '');
      fc.pre(!new RegExp(`^(?:${plain})$`).test(''));
      compared++;
      const pattern = { text: source, regex: true, ignoreCase };
      assert.deepEqual(found(pattern, within), expected(source, ignoreCase ? 'i' : '', within));
    }),
    { numRuns: 800 },
  );
  assert.ok(compared > 300);
});

test('texts mean themselves, special characters too', () => {
  const special = fc.constantFrom('a', 'B', '.', '*', '(', '\\', '[', 'é', 'É', '|', ' ');
  const some = fc.array(special, { minLength: 1, maxLength: 3 }).map((chars) => chars.join(''));
  const around = fc.array(special, { maxLength: 20 }).map((chars) => chars.join(''));
  fc.assert(
    fc.property(some, around, fc.boolean(), (needle, within, ignoreCase) => {
      const lower = (value: string): string => (ignoreCase ? value.toLowerCase() : value);
      const places: Place[] = [];
      for (let at = lower(within).indexOf(lower(needle)); at !== -1;) {
        const start = Buffer.byteLength(within.slice(0, at));
        places.push([start, start + Buffer.byteLength(needle)]);
        at = lower(within).indexOf(lower(needle), at + needle.length);
      }
      assert.deepEqual(found({ text: needle, regex: false, ignoreCase }, within), places);
    }),
  );
});

test('what is outside of the language is refused with its place, and what finds everything too', () => {
  const wrong: [string, RegExp][] = [
    ['(a', /character 3: a bracket that is not closed/],
    ['a*', /matches nothing at all/],
    ['^a', /anchors/],
    ['(?=a)', /look-around/],
    ['\\n', /within one line/],
    ['', /1 to 1000 characters/],
    ['a'.repeat(1001), /1 to 1000 characters/],
    ['(a{250}){250}', /too large/],
  ];
  for (const [source, message] of wrong)
    assert.throws(() => compileMatcher({ text: source, regex: true, ignoreCase: false }), {
      code: 'search-pattern-invalid',
      message,
    });
  assert.throws(() => compileMatcher({ text: 'a\nb', regex: false, ignoreCase: true }), /within one line/);
});

test('a pattern that goes back in other engines takes a step a byte; one that needs too many states is given up', () => {
  const long = 'a'.repeat(200_000);
  assert.deepEqual(found({ text: '(a+)+x', regex: true, ignoreCase: false }, long), []);
  assert.deepEqual(found({ text: '(a|a)*[b-c]', regex: true, ignoreCase: false }, `${long}b`), [
    [0, 200_001],
  ]);
  const random = Array.from({ length: 300_000 }, (_, i) => 'ab'[(i * i * 31 + (i >> 3)) & 1]).join('');
  const states = '(a|b)*a(a|b){18}[cd]';
  const shuffled = random.replaceAll(/(.)(.)/g, (pair, a, b) => (Math.random() < 0.5 ? pair : b + a + b));
  assert.throws(() => found({ text: states, regex: true, ignoreCase: false }, shuffled), /takes too long/);
});

test('in any case means ASCII letters, wherever they begin and whatever bytes stand around them', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 10));
  const matcher = compileMatcher({ text: 'qed', regex: false, ignoreCase: true });
  for (const needle of ['qed', 'QED', 'qEd', 'QeD', '1ED', 'Q\u0005d', 'q\u00c5d'])
    for (let before = 0; before < 9; before++) {
      const bytes = Buffer.concat([all.subarray(0, before), Buffer.from(needle, 'latin1'), all]);
      const places: number[] = [];
      matcher.find(bytes, 0, bytes.length, (start) => places.push(start));
      assert.deepEqual(places, /^qed$/i.test(needle) ? [before] : []);
      // Memory that begins between words, and a text that begins within it.
      const within = Buffer.concat([Buffer.from('x'), bytes]).subarray(1);
      const from: number[] = [];
      matcher.find(within, before, within.length, (start) => from.push(start));
      assert.deepEqual(from, places);
    }
});
