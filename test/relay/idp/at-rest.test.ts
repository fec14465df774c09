/** What is kept of an upstream can be read by the keys and at the place that it was written for, and by nothing else. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { generateProviderKeys } from '../../../src/relay/idp/keys.ts';
import { AtRest } from '../../../src/relay/idp/upstream/at-rest.ts';

const atRest = new AtRest(await generateProviderKeys());
const other = new AtRest(await generateProviderKeys());
const refused = { code: 'provider-keys-invalid' };

test('what was encrypted comes back, and no two texts of it are the same', () => {
  // Nothing of a key that means an object's prototype comes back.
  const json = fc
    .jsonValue()
    .map((value) => JSON.parse(JSON.stringify(value)))
    .filter((value) => !JSON.stringify(value).includes('"__proto__"'));
  const sneaked = JSON.parse('{"__proto__":{"admin":true},"sub":"1"}');
  assert.deepEqual(atRest.decrypt(atRest.encrypt(sneaked, 'row 1'), 'row 1'), { sub: '1' });
  fc.assert(
    fc.property(json, (value) => {
      const text = atRest.encrypt(value, 'row 1');
      assert.deepEqual(atRest.decrypt(text, 'row 1'), value);
      assert.notEqual(atRest.encrypt(value, 'row 1'), text);
    }),
  );
});

test('another key, another place, a changed or cut text: refused', () => {
  const text = atRest.encrypt({ refreshToken: 'secret' }, 'row 1');
  assert.ok(!Buffer.from(text.slice(3), 'base64url').toString('latin1').includes('secret'));
  assert.throws(() => other.decrypt(text, 'row 1'), refused);
  assert.throws(() => atRest.decrypt(text, 'row 2'), refused);
  const bytes = Buffer.from(text.slice(3), 'base64url');
  for (const at of bytes.keys()) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    assert.throws(() => atRest.decrypt(`v1.${changed.toString('base64url')}`, 'row 1'), refused);
  }
  for (let length = 0; length < bytes.length; length++)
    assert.throws(
      () => atRest.decrypt(`v1.${bytes.subarray(0, length).toString('base64url')}`, 'row 1'),
      refused,
    );
  assert.throws(() => atRest.decrypt(text.slice(3), 'row 1'), refused);
});
