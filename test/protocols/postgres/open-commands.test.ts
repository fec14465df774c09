import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenCommands } from '../../../src/protocols/postgres/open-commands.ts';

test('open commands: as a map would hold them, in order of their start, whatever is taken out', () => {
  const open = new OpenCommands();
  const model = new Map<number, number>();
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (seed >>> 8) % below;
  };
  for (let command = 1; command <= 2000; command++) {
    open.add(command, command % 7);
    model.set(command, command % 7);
    for (let i = random(4); i > 0; i--) {
      const some = command - random(5);
      if (random(2) === 0) {
        open.delete(some);
        model.delete(some);
      } else if (model.has(some)) {
        open.set(some, i);
        model.set(some, i);
      }
      assert.equal(open.get(some), model.get(some));
      assert.equal(open.has(some), model.has(some));
    }
    assert.equal(open.size, model.size);
    if (random(50) === 0) assert.deepEqual([...open.commands()], [...model.keys()]);
  }
  assert.ok(model.size > 0);
  assert.equal(open.get(0), undefined);
  for (const command of open.commands()) open.delete(command);
  assert.equal(open.size, 0);
  assert.deepEqual([...open.commands()], []);
});
