/** What a pattern over claims stands for, and that it never stands for more. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parsePattern } from '../../src/identity/pattern.ts';

const matches = (pattern: string, value: string): boolean => parsePattern(pattern)!.matches(value);

test('a pattern without a star is itself, whole and with its case', () => {
  assert.ok(matches('repo:acme/shop', 'repo:acme/shop'));
  for (const other of [
    'repo:acme/shop2',
    'xrepo:acme/shop',
    'repo:Acme/shop',
    'repo:acme/sho',
    '',
    'repo:acme/shop\n',
  ])
    assert.ok(!matches('repo:acme/shop', other), other);
  assert.ok(!matches('a.c', 'abc'), 'a dot is a dot');
});

test('one star stays in its part, two cross parts', () => {
  assert.ok(matches('repo:acme/*:ref:refs/heads/main', 'repo:acme/shop:ref:refs/heads/main'));
  for (const other of [
    'repo:acme/shop:ref:refs/heads/x:ref:refs/heads/main',
    'repo:acme/a/b:ref:refs/heads/main',
    'repo:evil/acme/shop:ref:refs/heads/main',
    'repo:acme/shop:ref:refs/heads/main2',
    'repo:acme-evil/shop:ref:refs/heads/main',
  ])
    assert.ok(!matches('repo:acme/*:ref:refs/heads/main', other), other);
  assert.ok(matches('repo:acme/shop:**', 'repo:acme/shop:ref:refs/heads/a/b'));
  assert.ok(!matches('repo:acme/shop:**', 'repo:acme/shop2:ref:refs/heads/a'));
  assert.ok(!matches('repo:acme/shop:**', 'repo:acme/shop'));
  assert.ok(matches('refs/heads/release-*', 'refs/heads/release-1.2'));
  assert.ok(!matches('refs/heads/release-*', 'refs/heads/release-1/2'));
});

test('a pattern that could only be a mistake is none', () => {
  for (const text of ['', 'repo:acme**', '**shop', 'repo:***', 'a\u0000', 'x'.repeat(513)])
    assert.equal(parsePattern(text), null, text);
  for (const text of ['*', '**', '*:*', '**/**']) assert.equal(parsePattern(text)?.binds, false, text);
  assert.equal(parsePattern('repo:*')?.binds, true);
});

test('it agrees with a regular expression, and many stars do not make it slow', () => {
  const part = fc.constantFrom('a', 'b', ':', '/', '*', '**');
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ':', '/'), maxLength: 12 });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 10 }), text, (parts, value) => {
      const pattern = parsePattern(parts.join(''));
      if (pattern === null) return;
      const source = pattern.text
        .split(/(\*\*|\*)/)
        .map((each) => (each === '**' ? '[^]*' : each === '*' ? '[^:/]*' : each))
        .join('');
      assert.equal(pattern.matches(value), new RegExp(`^${source}$`).test(value));
    }),
    { numRuns: 2000 },
  );
  const slow = parsePattern('*a'.repeat(200));
  assert.equal(slow?.matches('a'.repeat(2000) + 'b'), false);
});
