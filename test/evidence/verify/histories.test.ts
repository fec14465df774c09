import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkRandomHistories } from './random-histories.ts';

test('in untouched histories nothing is found, whatever happened in them', async () => {
  const { sessions } = await checkRandomHistories(20);
  assert.ok(sessions > 10, `${sessions}`);
});
