/** Masking that fails half-way: of what it was given nothing more is delivered, not even when everything else ends. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Masking } from '../../../../src/gate/masking.ts';
import { MaskedStream } from '../../../../src/protocols/ssh/masking/masked-stream.ts';
import { maskingOf } from './streams.ts';

const card = '4111 1111 1111 1111';

/** Fails at its `nth` replacement, and never again. */
function failingOnce(nth: number): Masking {
  const masking = maskingOf(['card']);
  const { mask } = masking;
  let count = 0;
  masking.mask = (...given) => {
    if (++count === nth) throw new Error('a fault');
    return mask.apply(masking, given);
  };
  return masking;
}

for (const terminal of [false, true])
  for (const nth of [1, 2])
    test(`${terminal ? 'a terminal' : 'a pipe'}: replacement ${nth} of two fails`, () => {
      const delivered: Buffer[] = [];
      const failures: unknown[] = [];
      let waiting: (() => void) | null = null;
      const stream = new MaskedStream({
        masking: failingOnce(nth),
        terminal,
        redacted: () => undefined,
        deliver: (bytes) => void delivered.push(bytes),
        failed: (error) => {
          failures.push(error);
          stream.end(); // what ends the session ends its streams
        },
        after: (_ms, work) => {
          waiting = work;
          return () => (waiting = null);
        },
      });
      stream.push(Buffer.from('before\r\n'));
      stream.push(Buffer.from(`one ${card}; two ${card}; and\r\n`));
      stream.push(Buffer.from(`${card} once more\r\n`));
      stream.end();
      assert.equal(waiting, null, 'no clock runs');
      assert.equal(Buffer.concat(delivered).toString(), 'before\r\n');
      assert.equal(failures.length, 1);
    });
