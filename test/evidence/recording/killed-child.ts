/** Records a session and kills itself, as `kill -9` would, at its n-th step. Says on stdout what it delivered. */
import { writeSync } from 'node:fs';
import { interruptCalls } from './interrupted-calls.ts';
import { appendTo, recordSession } from './recording-run.ts';

const [directory, at] = process.argv.slice(2) as [string, string];
let left = Number(at);
const calls = interruptCalls(() => {
  if (--left === 0) process.kill(process.pid, 'SIGKILL');
});
await recordSession(
  directory,
  (entry) => calls.step(async () => appendTo(directory, entry)),
  (command) => writeSync(1, `${command}\n`),
);
writeSync(1, 'done\n');
