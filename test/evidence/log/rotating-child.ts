/** Run by rotation.test.ts: opens a log with two keys, hands it over, and kills itself before step `diesAt` of its files. */
import { readSigner } from '../../../src/evidence/log/key-file.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { durableFiles, type DurableFiles } from '../../../src/system/durable-file.ts';

const [directory = '', oldKey = '', newKey = '', diesAtText = '0'] = process.argv.slice(2);
let steps = 0;
const step = (): void => {
  if (++steps === Number(diesAtText)) process.kill(process.pid, 'SIGKILL');
};

const files: DurableFiles = {
  read: durableFiles.read,
  async create(file) {
    step();
    const real = await durableFiles.create(file);
    return {
      async append(bytes) {
        step();
        await real.append(bytes);
        step();
      },
      async sync() {
        await real.sync();
        step();
      },
      close: () => real.close(),
    };
  },
  async rename(from, to) {
    step();
    await durableFiles.rename(from, to);
    step();
  },
  async makeDirectory(name) {
    const made = await durableFiles.makeDirectory(name);
    if (made) step();
    return made;
  },
  async syncDirectory(name) {
    await durableFiles.syncDirectory(name);
    step();
  },
  async remove(target) {
    step();
    await durableFiles.remove(target);
  },
};

const [signer, next] = [await readSigner(oldKey), await readSigner(newKey)];
const log = await Log.open({ directory, signer, successors: [next], clock: systemClock, files });
if (log.signer.verifier.toString() === signer.verifier.toString()) await log.rotate(next);
await log.close();
