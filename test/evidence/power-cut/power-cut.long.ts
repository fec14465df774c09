/** Every power cut that `power-cut.test.ts` takes a sample of, over several lives, since threads meet differently each time. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { checkCut, cutsOf, liveUnder, temporary, untraceable } from './cuts.ts';

const skip = untraceable();
const root = temporary();
after(() => rmSync(root, { recursive: true, force: true }));

for (const durability of ['process', 'disk'] as const)
  for (let life = 1; life <= 3; life++)
    test(`all power cuts, durability: ${durability}, life ${life}`, { skip }, async (t) => {
      const steps = liveUnder(root, durability);
      let count = 0;
      for (const cut of cutsOf(root, steps)) {
        await assert.doesNotReject(checkCut(cut, root), `after step ${cut.step}, lost: ${cut.loss}`);
        count += 1;
      }
      t.diagnostic(`${count} cuts of ${steps.length} steps`);
    });
