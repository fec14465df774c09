/** What a person sees of a long export, and that nobody else sees anything. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { BundleBar } from '../../../src/cli/audit/progress.ts';

function screen(isTTY: boolean) {
  let shown = '';
  const out = new Writable({
    write(chunk, _encoding, done) {
      shown += String(chunk);
      done();
    },
  });
  return {
    out: Object.assign(out, { isTTY, columns: 200 }) as unknown as NodeJS.WriteStream,
    last: () => shown.split('\u001b[K').at(-1),
    shown: () => shown,
  };
}

test('a bar with rate and time left; of recordings in bytes', () => {
  const { out, last } = screen(true);
  let nowMs = 0;
  const bar = new BundleBar(true, out, () => nowMs);
  bar.phase('recordings', 10_000_000_000);
  assert.match(last()!, /recordings ·{24} {3}0 % of 10\.0 GB$/);
  nowMs = 10_000;
  bar.advanced(2_500_000_000);
  assert.match(last()!, /━{6}·{18} {2}25 % of 10\.0 GB {2}250 MB\/s {2}0:30 left$/);
  bar.phase('log', 4000);
  nowMs += 2000;
  bar.advanced(1);
  assert.match(last()!, /log .* 0 % of 4\.0 k/);
  bar.advanced(5000); // more than was foreseen
  nowMs += 200;
  bar.advanced(0);
  assert.match(last()!, /100 %/);
  bar.end();
  assert.equal(last(), '');
});

test('without a terminal there is no bar, and with --quiet nothing at all', () => {
  for (const [isTTY, shown, expected] of [
    [false, true, 'kept\n'],
    [true, false, ''],
  ] as const) {
    const { out, shown: all } = screen(isTTY);
    const bar = new BundleBar(shown, out);
    bar.phase('recordings', 1);
    bar.advanced(1);
    bar.end();
    bar.say('kept');
    assert.equal(all(), expected);
  }
});
