/**
 * A week: 2,000 sessions, a million commands. Exported and verified in processes of their own, whose memory is measured; the
 * rates are printed and asserted per CPU second, which a busy machine stretches less than the clock.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readEntries } from '../../../src/evidence/read/entries.ts';
import { EvidenceFixture } from '../verify/fixture.ts';
import { recordWeek } from './week.ts';

const week = {
  sessions: Number(process.env['HOOP_WEEK_SESSIONS'] ?? 2000),
  commands: Number(process.env['HOOP_WEEK_COMMANDS'] ?? 1_000_000),
  resultBytes: 1500,
};
/** 206 to 260 MB were seen. */
const memoryBytes = 300e6;
/** Of a tenth of the week to all of it: were so little as 100 bytes of each command kept, it would be more. */
const growthBytes = 100e6;
/** Of recordings before compression. An export writes each command down four times, 3,200 bytes: that is most of its cost. */
const bytesPerCpuSecond = 50e6;

interface Measured {
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly rssBytes: number;
}

const child = path.join(import.meta.dirname, 'week-child.ts');

function run(...args: readonly string[]): Measured {
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stderr + stdout);
  return JSON.parse(stdout) as Measured;
}

const told = (what: string, { cpuSeconds, seconds, rssBytes }: Measured, rawBytes: number): string =>
  `${what}: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s CPU, ${(rawBytes / 1e6 / seconds).toFixed(0)} MB/s, ` +
  `${(rawBytes / 1e6 / cpuSeconds).toFixed(0)} MB per CPU second, ${(rssBytes / 1e6).toFixed(0)} MB of memory`;

test('a week of work is exported and verified at speed, in flat memory', async (t) => {
  const out = await mkdtemp(path.join(tmpdir(), 'hoop-week-'));
  try {
    await using fixture = await EvidenceFixture.create();
    // The same kind of week, a tenth of it: what memory an export takes whatever its length.
    const { sessions, commands } = week;
    await using smaller = await EvidenceFixture.create();
    await recordWeek(smaller, { ...week, sessions: sessions / 10, commands: commands / 10 });
    const least = run('export', smaller.directory, path.join(out, 'smaller.zip'));
    await recordWeek(fixture, week);
    let [rawBytes, storedBytes, entries] = [0, 0, 0];
    for await (const { entry } of readEntries(fixture.directory)) {
      entries++;
      if (entry.kind !== 'segment') continue;
      rawBytes += entry.rawBytes;
      storedBytes += entry.bytes;
    }
    t.diagnostic(
      `${entries} entries, ${(rawBytes / 1e6).toFixed(0)} MB recorded, ${(storedBytes / 1e6).toFixed(0)} MB stored`,
    );
    const file = path.join(out, 'week.zip');
    const written = run('export', fixture.directory, file);
    t.diagnostic(`${told('export', written, rawBytes)}; ${(statSync(file).size / 1e6).toFixed(0)} MB of ZIP`);
    const lines = run('lines', fixture.directory, path.join(out, 'week.jsonl'));
    t.diagnostic(told('JSON Lines', lines, rawBytes));
    const verified = run('verify', file, fixture.vkey);
    t.diagnostic(told('verify', verified, rawBytes));
    for (const [what, measured] of Object.entries({ export: written, lines, verify: verified }))
      assert.ok(measured.rssBytes < memoryBytes, told(what, measured, rawBytes));
    const growth = written.rssBytes - least.rssBytes;
    assert.ok(growth < growthBytes, `${(growth / 1e6).toFixed(0)} MB more than for a tenth`);
    for (const [what, measured] of Object.entries({ export: written, lines }))
      assert.ok(rawBytes / measured.cpuSeconds > bytesPerCpuSecond, told(what, measured, rawBytes));
    assert.ok(rawBytes / verified.cpuSeconds > 100e6, told('verify', verified, rawBytes));
  } finally {
    await rm(out, { recursive: true });
  }
});
