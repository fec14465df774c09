/** `export DIR FILE`, `lines DIR FILE` or `verify FILE VKEY`, measured. */
import assert from 'node:assert/strict';
import { exportBundle } from '../../../src/cli/audit/bundle.ts';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LocalSource } from '../../../src/cli/audit/source.ts';
import { format } from '../../../src/evidence/export/formats.ts';
import { verifyBundle } from '../../../src/evidence/verify/index.ts';

const [what, first, second] = process.argv.slice(2) as [string, string, string];
const began = performance.now();
const before = process.cpuUsage();
if (what === 'export') await exportBundle(first, { file: second, query: {}, asked: {}, quiet: true });
else if (what === 'lines')
  await pipeline(
    Readable.from(format(new LocalSource(first, first).events({}), 'jsonl'), { objectMode: false }),
    createWriteStream(second),
  );
else {
  const { findings } = await verifyBundle({ file: first, vkey: second });
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['manifest-unsigned'],
  );
}
const { user, system } = process.cpuUsage(before);
process.stdout.write(
  JSON.stringify({
    cpuSeconds: (user + system) / 1e6,
    seconds: (performance.now() - began) / 1000,
    rssBytes: process.resourceUsage().maxRSS * 1024,
  }),
);
