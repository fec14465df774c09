import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LogDestination } from '../../src/relay/log-destination.ts';
import { eventually } from '../support/eventually.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-log-'));
after(() => rmSync(directory, { recursive: true }));

test('lines arrive whole and in order, also those of the last flush', async () => {
  const file = path.join(directory, 'log');
  const descriptor = openSync(file, 'a');
  const destination = new LogDestination(descriptor);
  const lines = Array.from({ length: 5000 }, (_, index) => `${index} ${'é'.repeat(index % 50)}\n`);
  for (const line of lines.slice(0, 4000)) destination.write(line);
  await eventually('the lines', () => readFileSync(file, 'utf8') === lines.slice(0, 4000).join(''));
  for (const line of lines.slice(4000)) destination.write(line);
  destination.flushSync();
  await eventually('the rest', () => readFileSync(file, 'utf8').length === lines.join('').length);
  assert.deepEqual(readFileSync(file, 'utf8').split('\n').toSorted(), lines.join('').split('\n').toSorted());
  closeSync(descriptor);
});

test('a reader that left, a full disk, a descriptor that is none: no failure, and the flush ends', async () => {
  const fifo = path.join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  closeSync(reader);
  const full = openSync('/dev/full', 'w');
  for (const descriptor of [writer, full, 1_000_000]) {
    const destination = new LogDestination(descriptor);
    for (let round = 0; round < 3; round++) {
      destination.write('a line\n');
      destination.flushSync();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  closeSync(writer);
  closeSync(full);
});

test('a reader that stalls keeps neither the writer nor the flush', () => {
  const fifo = path.join(directory, 'stalled');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  const source = path.resolve(import.meta.dirname, '../../src/relay/log-destination.ts');
  const program = `import { LogDestination } from ${JSON.stringify(source)};
    const destination = new LogDestination(3);
    for (let i = 0; i < 400_000; i++) destination.write('x'.repeat(100) + '\\n');
    destination.flushSync();
    process.exit(process.memoryUsage().arrayBuffers < 64 * 2 ** 20 ? 0 : 1);`;
  const { status, signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'ignore', 'pipe', writer],
    timeout: 60_000,
  });
  assert.deepEqual([status, signal], [0, null], String(stderr));
  closeSync(reader);
  closeSync(writer);
});
