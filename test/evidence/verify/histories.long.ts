import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkRandomHistories } from './random-histories.ts';

test('in a thousand untouched histories nothing is found', async () => {
  assert.ok((await checkRandomHistories(1000)) > 1000);
});
