/**
 * The machine's wall clock jumps under a running relay, both ways: sessions keep their own deadlines, entries of the log never
 * go back in time, and the record verifies. The clock of the relay's process alone is moved, by libfaketime.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { decodeEntry } from '../../src/evidence/entry.ts';
import { readEntries } from '../../src/evidence/log/read.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, startStage, type Stage } from '../support/relay.ts';

const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const skip = missing('postgresql') || missing('faketime');
let stage: Stage | null = null;
after(() => stage?.close());

test('forward and back: deadlines are those of the session, times never decrease', { skip }, async () => {
  stage = await startStage();
  const { installation, connect, directory, postgres } = stage;
  const file = path.join(directory, 'faketime');
  const jump = (offset: string): void => writeFileSync(file, `${offset}\n`);
  jump('+0');
  await installation.stop();
  await installation.start({
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  });
  const psql = path.join(postgres.binDir, 'psql');
  const select = async (env: NodeJS.ProcessEnv): Promise<string> =>
    (await run(psql, ['-XAtc', 'SELECT 1'], { env })).stdout;
  const long = await connect();
  const short = await connect(['--duration', '30s']);

  // Past the short session's deadline, by the wall.
  jump('+5m');
  assert.equal(await select(short.env), '1\n');
  assert.equal(await select(long.env), '1\n');
  jump('-2d');
  assert.equal(await select(long.env), '1\n');
  // Its own time is over, though the wall says that it began in the future.
  await short.running.ended;
  assert.match(short.running.output, /its time is over/);
  assert.equal(await select(long.env), '1\n');
  jump('+0');
  await long.running.stop('SIGINT');

  const log = path.join(installation.evidence, 'log');
  await eventually('both are closed', async () => (await closings(log)).length === 2);
  assert.deepEqual((await closings(log)).toSorted(), ['deadline', 'ended']);
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
  assert.doesNotMatch(verified.output, /time-decreased/);
});

async function closings(log: string): Promise<string[]> {
  const outcomes: string[] = [];
  for await (const { bytes } of readEntries(log)) {
    const decoded = decodeEntry(bytes);
    if (decoded.state === 'known' && decoded.entry.kind === 'session.closed')
      outcomes.push(decoded.entry.outcome);
  }
  return outcomes;
}
