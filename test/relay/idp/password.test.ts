import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Passwords } from '../../../src/relay/idp/password.ts';

const passwords = new Passwords();
const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

test('a password is found again by its hash, whose cost and salt are in it', async () => {
  const hash = await passwords.hash('correct horse');
  assert.match(hash, /^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(hash, await passwords.hash('correct horse'));
  assert.equal(await passwords.verify('correct horse', hash), true);
  assert.equal(await passwords.verify('correct horsf', hash), false);
  assert.equal(await passwords.verify('', hash), false);
});

test('the vector of RFC 7914 §12 holds for stored hashes of another cost', async () => {
  // N = 1024, r = 8, p = 16, password "password", salt "NaCl"; its first 32 bytes.
  const derived = 'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162';
  const stored = `$scrypt$ln=10,r=8,p=16$${base64(Buffer.from('NaCl'))}$${base64(Buffer.from(derived, 'hex'))}`;
  assert.equal(await passwords.verify('password', stored), true);
  assert.equal(await passwords.verify('Password', stored), false);
});

test('the same password typed on another keyboard is the same (NFKC)', async () => {
  const hash = await passwords.hash('caf\u00e9-passwort');
  assert.equal(await passwords.verify('cafe\u0301-passwort', hash), true);
});

test('an unknown person costs a hash too, and is never right', async () => {
  assert.equal(await passwords.verify('anything', null), false);
});

test('a crowd is turned away before it costs anything', async () => {
  const crowd = new Passwords(2);
  const hash = await crowd.hash('correct horse');
  const answers = await Promise.all(Array.from({ length: 4 }, () => crowd.verify('wrong', hash)));
  assert.ok(answers.includes(null));
  assert.ok(answers.includes(false));
  assert.equal(await crowd.verify('correct horse', hash), true);
});

test('a malformed hash is an error, not a match', async () => {
  await assert.rejects(passwords.verify('x', 'plain'), /malformed/);
  await assert.rejects(passwords.verify('x', '$scrypt$ln=31,r=8,p=1$AAAA$AAAA'), /costs too much/);
});
