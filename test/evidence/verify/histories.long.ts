import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkRandomHistories } from './random-histories.ts';

test('in a thousand untouched histories nothing is found', async () => {
  const { sessions, erased } = await checkRandomHistories(1000);
  assert.ok(sessions > 1000 && erased > 50, `${sessions}, ${erased}`);
});
