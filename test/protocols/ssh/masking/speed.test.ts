/** What masking costs, told and not judged: processor time, which depends on the machine. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { detectorNames } from '../../../../src/masking/detectors/catalog.ts';
import { MaskedStream } from '../../../../src/protocols/ssh/masking/masked-stream.ts';
import { maskingOf } from './streams.ts';

const log = Buffer.from(
  'Nov 25 22:47:01 web-1 sshd[PID]: session opened for user deploy by root\r\n'.repeat(440),
);

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

test('speed of output without findings, and of one key', (t) => {
  for (const terminal of [false, true])
    for (const detect of [['card'], detectorNames]) {
      let delivered = 0;
      const stream = new MaskedStream({
        masking: maskingOf(detect),
        terminal,
        redacted: () => assert.fail('nothing is found'),
        failed: (error) => assert.fail(String(error)),
        deliver: (bytes) => void (delivered += bytes.length),
        after: () => () => undefined,
      });
      const pushAll = (chunk: Buffer, times: number): void => {
        for (let count = 0; count < times; count++) stream.push(Buffer.from(chunk));
      };
      pushAll(log, 100);
      const times = terminal ? 300 : 1000;
      const bulk = cpuMs(() => pushAll(log, times));
      const keys = cpuMs(() => pushAll(Buffer.from('x '), 2000));
      stream.end();
      assert.equal(delivered, log.length * (times + 100) + 4000);
      t.diagnostic(
        `${terminal ? 'terminal' : 'pipe'}, ${detect.length} detectors: ${Math.round((log.length * times) / 1000 / bulk)} MB/s, ${((keys * 1000) / 2000).toFixed(1)} µs a key`,
      );
    }
});
