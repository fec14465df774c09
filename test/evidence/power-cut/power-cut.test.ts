/**
 * The power goes after any system call: whatever part of what was not synced is lost, torn or zeroed, the relay starts, the
 * record verifies, and what was promised is there. A sample of the cuts; `power-cut.long.ts` takes all.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { checkCut, cutsOf, lastCut, liveUnder, temporary, untraceable } from './cuts.ts';

const skip = untraceable();
const root = temporary();
after(() => rmSync(root, { recursive: true, force: true }));

for (const durability of ['process', 'disk'] as const)
  test(`power cuts, durability: ${durability}`, { skip }, async (t) => {
    let count = 0;
    for (const cut of cutsOf(root, liveUnder(root, durability), 97)) {
      await assert.doesNotReject(checkCut(cut, root), `after step ${cut.step}, lost: ${cut.loss}`);
      count += 1;
    }
    t.diagnostic(`${count} cuts`);
    assert.ok(count > 20, `${count} cuts`);
  });

test('a program that does not sync would be found out', { skip }, async () => {
  const steps = liveUnder(root, 'process').filter((step) => step.do !== 'sync-ends');
  await assert.rejects(checkCut(lastCut(root, steps), root));
});
