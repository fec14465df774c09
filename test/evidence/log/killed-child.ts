/**
 * Run by killed.test.ts: opens a log, appends, publishes, closes, and kills itself with SIGKILL before step `diesAt` of
 * its files; odd runs also leave half of a write behind. Says each acknowledged entry on stdout.
 */
import { writeSync } from 'node:fs';
import { relayActor } from '../../../src/evidence/entry.ts';
import { readSigner } from '../../../src/evidence/log/key-file.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { durableFiles, type DurableFiles } from '../../../src/system/durable-file.ts';

const [directory = '', keyFile = '', diesAtText = '0', countText = '0', stays = ''] = process.argv.slice(2);
const diesAt = Number(diesAtText);
let steps = 0;
const step = (): boolean => ++steps === diesAt;
const die = (): void => process.kill(process.pid, 'SIGKILL') && undefined;

const files: DurableFiles = {
  read: durableFiles.read,
  async create(file) {
    if (step()) die();
    const real = await durableFiles.create(file);
    return {
      async append(bytes) {
        if (step()) {
          await real.append(bytes.subarray(0, bytes.length >> 1));
          die();
        }
        await real.append(bytes);
        if (step()) die();
      },
      async sync() {
        await real.sync();
        if (step()) die();
      },
      close: () => real.close(),
    };
  },
  async rename(from, to) {
    if (step()) die();
    await durableFiles.rename(from, to);
    if (step()) die();
  },
  async makeDirectory(name) {
    const made = await durableFiles.makeDirectory(name);
    if (made && step()) die();
    return made;
  },
  async syncDirectory(name) {
    await durableFiles.syncDirectory(name);
    if (step()) die();
  },
  async remove(target) {
    if (step()) die();
    await durableFiles.remove(target);
  },
};

const signer = await readSigner(keyFile);
const log = await Log.open({
  directory,
  signer,
  clock: systemClock,
  files,
  checkpointMs: 60_000,
  journalBytes: 1000,
});
for (let i = 0; i < Number(countText); i++) {
  const marker = `${process.pid}-${i}`;
  const { index } = await log.append({
    kind: 'relay.started',
    actor: relayActor,
    version: marker,
    configDigest: '0'.repeat(64),
  });
  writeSync(1, `${index} ${marker}\n`);
  if (i % 3 === 2) await log.checkpoint();
}
if (stays === 'stays') {
  writeSync(1, 'open\n');
  setInterval(() => undefined, 60_000);
} else {
  await log.close();
  writeSync(1, 'closed\n');
}
