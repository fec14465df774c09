import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasForeignNames, sqlExcerpt, sqlLines } from '../../src/cli/sql-text.ts';

const wide = { width: null };
const lines = (text: string, width: number | null = null): string[] => [...sqlLines(text, { width })];

test('lines are numbered, tabs are blanks, CR LF is one end of line', () => {
  assert.deepEqual(lines('select 1;\r\n\tselect 2'), ['  1 │ select 1;', '  2 │     select 2']);
  assert.deepEqual(lines(''), ['  1 │ ']);
  assert.equal(lines('\n'.repeat(1) + 'x').length, 2);
});

test('what a terminal would act on, hide or reorder is an escape', () => {
  const cases: [string, string][] = [
    ['a\u001b[2Jb', 'a\\x1b[2Jb'],
    ['a\rb', 'a\\x0db'],
    ['a\bb', 'a\\x08b'],
    ['a\u009bb', 'a\\x9bb'],
    ['a\u202eb', 'a\\u202eb'],
    ['a\u2066b', 'a\\u2066b'],
    ['a\u200bb', 'a\\u200bb'],
    ['a\u00adb', 'a\\xadb'],
    ['a\ufeffb', 'a\\ufeffb'],
    ['a\u2028b', 'a\\u2028b'],
    ['a\u00a0b', 'a\\xa0b'],
    ['a\u3000b', 'a\\u3000b'],
    ['a\u0336b', 'a\\u0336b'],
    ['a\u{e0041}b', 'a\\U000e0041b'],
    ['a\u{e000}b', 'a\\ue000b'],
    ['a\ud800b', 'a\\ud800b'],
    ['a\u3164b', 'a\\u3164b'],
    ['naïve 表 😀', 'naïve 表 😀'],
  ];
  for (const [typed, shown] of cases) {
    assert.deepEqual(lines(typed), [`  1 │ ${shown}`], JSON.stringify(typed));
    assert.equal(sqlExcerpt(typed, true), typed === 'a\rb' ? 'a b' : shown);
  }
});

test('a long line is broken under its number; wide letters count twice; nothing starts at the edge', () => {
  assert.deepEqual(lines('x'.repeat(50), 26), [
    `  1 │ ${'x'.repeat(20)}`,
    `    │ ${'x'.repeat(20)}`,
    `    │ ${'x'.repeat(10)}`,
  ]);
  assert.deepEqual(lines('表'.repeat(11), 26), [`  1 │ ${'表'.repeat(10)}`, '    │ 表']);
});

test('empty lines that would push the text away are counted', () => {
  assert.deepEqual(lines(`select 1${'\n'.repeat(1000)}; drop table t`), [
    '     1 │ select 1',
    '       ┊ 999 empty lines',
    '  1001 │ ; drop table t',
  ]);
  assert.deepEqual(lines('a\n\n\nb').length, 4);
  assert.deepEqual(lines(`a${'\n \t'.repeat(5)}\nb`)[1], '    ┊ 5 empty lines');
});

test('excerpts: one line, cut, and they say so', () => {
  assert.equal(sqlExcerpt(' select\n  1 ', true), 'select 1');
  assert.equal(sqlExcerpt('select 1', false), 'select 1 …');
  assert.equal(sqlExcerpt('x'.repeat(80), true), `${'x'.repeat(59)}…`);
});

test('letters outside ASCII in names are noticed, in texts and comments they are not', () => {
  assert.equal(hasForeignNames('select * from cust\u043emers'), true);
  assert.equal(hasForeignNames('select \'é\' -- é\n/* é /* é */ é */ , "é", $é$ é $é$'), false);
  assert.equal(hasForeignNames('select 1'), false);
});

/** Whatever is in it: every character is there in order, and none that a terminal could act on. */
test('any text: nothing is lost, nothing hostile passes', () => {
  const hostile = fc.string({ unit: 'binary', maxLength: 200 });
  const sql = fc
    .array(
      fc.constantFrom(
        "'",
        '"',
        '--',
        '/*',
        '*/',
        '$$',
        '$a$',
        'select',
        '\n',
        '\u001b',
        '\u202e',
        'é',
        '\\',
        ' ',
        '7',
      ),
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(hostile, sql), (text) => {
      const shown = lines(text);
      assert.doesNotMatch(shown.join(''), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      for (const line of shown) assert.match(line, /^ {2} *(\d+ │|┊ \d+ empty lines)/);
      if (shown.some((line) => line.includes('┊'))) return;
      const again = shown
        .map((line) => line.slice(line.indexOf('│') + 2))
        .join('\n')
        .replaceAll(/\\(?:x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8}))/g, (whole, a, b, c) =>
          text.includes(whole) ? whole : String.fromCodePoint(Number.parseInt(a ?? b ?? c, 16)),
        );
      assert.equal(again, text.replaceAll('\r\n', '\n').replaceAll('\t', '    '));
    }),
    { numRuns: 200 },
  );
});

test('a long text of anything takes no more than its length asks for', () => {
  for (const unit of ["'", '/*', '$a$', '"', '--', 'x', '(', '\u202e', '$']) {
    const text = unit.repeat(100_000 / unit.length);
    let count = 0;
    for (const line of sqlLines(text, wide)) count += line.length;
    assert.ok(count >= text.length, unit);
  }
});
