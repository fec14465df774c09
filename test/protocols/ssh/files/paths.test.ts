/** Paths as policy and people read them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { FileFacts, fileEffects } from '../../../../src/protocols/ssh/files/file-facts.ts';
import { quotedPath } from '../../../../src/protocols/ssh/files/file-text.ts';
import { directoriesAbove, normalize } from '../../../../src/protocols/ssh/files/paths.ts';

test('a path is normalized by its letters', () => {
  for (const [path, home, expected] of [
    ['/', null, '/'],
    ['//a///b/', null, '/a/b'],
    ['/a/./b/../c/.', null, '/a/c'],
    ['/../../a', null, '/a'],
    ['/...', null, '/...'],
    ['', '/home/ana', '/home/ana'],
    ['.', '/', '/'],
    ['../x', '/home/ana', '/home/x'],
    ['../../../../x', '/home/ana', '/x'],
    ['', null, '.'],
    ['a/..', null, '.'],
    ['a/../../b', null, '../b'],
    ['../..', null, '../..'],
    ['~/x', '/home/ana', '/home/ana/~/x'],
  ] as const)
    assert.equal(normalize(path, home), expected, path);
  assert.equal(normalize('/a'.repeat(257), null), null);
});

test('every directory above a path stands with a slash at its end', () => {
  assert.deepEqual(directoriesAbove('/a/b/c'), ['/', '/a/', '/a/b/']);
  assert.deepEqual(directoriesAbove('/'), ['/']);
  assert.deepEqual(directoriesAbove('a/b'), ['a/']);
  assert.deepEqual(directoriesAbove('a'), []);
});

test('equal facts are one object, and no more are kept than the bound', () => {
  const facts = new FileFacts();
  const first = facts.of(fileEffects.read, ['/a'], false);
  assert.equal(facts.of(fileEffects.read, ['/a'], false), first);
  assert.notEqual(facts.of(fileEffects.write, ['/a'], false), first);
  assert.notEqual(facts.of(fileEffects.read, ['/a'], true), first);
  for (let i = 0; i < 5000; i++) facts.of(fileEffects.read, [`/b${i}`], false);
  assert.notEqual(facts.of(fileEffects.read, ['/a'], false), first);
});

test('a normalized path is below no other directory than those that are named', () => {
  const part = fc.constantFrom('a', 'b', '.', '..', '', '...');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const path = normalize(`/${parts.join('/')}`, null)!;
      assert.equal(
        path,
        new URL(`file:///${parts.filter((each) => each !== '').join('/')}`).pathname.replace(/(.)\/$/, '$1'),
      );
    }),
  );
});

test('quoting: what can be misread is quoted, everything else stands as it is', () => {
  for (const [path, expected] of [
    ['/a-b_c.d', '/a-b_c.d'],
    ['/é/日本', '/é/日本'],
    ['a b', "'a b'"],
    ['', "''"],
    ['a"b', `'a"b'`],
    [String.raw`a\b`, String.raw`'a\b'`],
    ["it's", String.raw`$'it\'s'`],
    ['a\nb', String.raw`$'a\x0ab'`],
    ['é \u202egpj', String.raw`$'é \xe2\x80\xaegpj'`],
    ['a\u00a0b', String.raw`$'a\xc2\xa0b'`],
  ])
    assert.equal(quotedPath(Buffer.from(path!)).toString(), expected);
  assert.equal(quotedPath(Buffer.from([0x61, 0xff])).toString(), String.raw`$'a\xff'`);
});

test('bash reads what is quoted back as the bytes of the path', () => {
  const byte = fc.oneof(
    fc.constantFrom(0x20, 0x27, 0x5c, 0x0a, 0xc3, 0xa9, 0xe2, 0x80, 0xae, 0x30),
    fc.integer({ min: 1, max: 255 }),
  );
  const given = fc.sample(fc.array(byte, { maxLength: 20 }), 2000).map((bytes) => Buffer.from(bytes));
  const paths = given.filter((path) => !quotedPath(path).equals(path));
  assert.ok(paths.length > 500);
  const words = paths.flatMap((path) => [Buffer.from(' '), quotedPath(path)]);
  const script = Buffer.concat([Buffer.from(`printf '%s\\0'`), ...words]);
  const read = execFileSync('bash', ['-s'], { input: script, env: { ...process.env, LC_ALL: 'C.UTF-8' } });
  assert.deepEqual(read, Buffer.concat(paths.flatMap((path) => [path, Buffer.of(0)])));
});
