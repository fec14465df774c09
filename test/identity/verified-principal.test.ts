import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { mintPrincipal, VerifiedPrincipal } from '../../src/identity/verified-principal.ts';

const plain = {
  kind: 'person',
  issuer: 'https://issuer.example',
  subject: 'u',
  email: null,
  groups: ['b', 'a', 'b'],
} as const;

test('only what identity made is a verified principal; a look-alike is not', () => {
  const verified = mintPrincipal(plain);
  assert.ok(VerifiedPrincipal.is(verified));
  assert.ok(!VerifiedPrincipal.is({ ...verified }));
  assert.ok(!VerifiedPrincipal.is(Object.create(VerifiedPrincipal.prototype)));
  assert.ok(!VerifiedPrincipal.is(null));
});

test('it cannot be changed afterwards; groups are sorted and single', () => {
  const verified = mintPrincipal(plain);
  assert.deepEqual(verified.groups, ['a', 'b']);
  assert.throws(() => Object.assign(verified, { subject: 'v' }), TypeError);
  assert.throws(() => (verified.groups as string[]).push('admin'), TypeError);
});

test('nothing outside identity makes one: whoever does must verify a signature first', () => {
  const root = path.resolve(import.meta.dirname, '../../src');
  const users = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith(`identity${path.sep}`))
    .filter((file) => readFileSync(path.join(root, file), 'utf8').includes('mintPrincipal'));
  assert.deepEqual(users, []);
});
