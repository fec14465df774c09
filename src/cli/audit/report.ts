/** A verification report for people. */
import { colour, visible } from '../colour.ts';
import { attributionLines } from './attribution.ts';
import type { Verified } from './verification.ts';

export function* reportLines({ report, sessions }: Verified): Generator<string> {
  const { checkpoint, counts, failures, warnings, findings } = report;
  if (checkpoint !== null) yield `  log         ${visible(checkpoint.origin)}, ${checkpoint.size} entries`;
  if (report.from !== null && report.to !== null) yield `  from, to    ${report.from}, ${report.to}`;
  const scope = sessions === null ? '' : ` (recordings of ${sessions} were looked for)`;
  yield `  sessions    ${counts.sessions}, ${counts.unfinishedSessions} unfinished${scope}`;
  yield `  checked     ${counts.entries} entries, ${counts.segments} segments, ${counts.signatures} signatures of people`;
  for (const { severity, code, message, ...place } of findings) {
    const mark = severity === 'failure' ? colour.red('✗') : colour.yellow('!');
    const where = [place.session, place.file].filter((part) => part !== null).join(' ');
    yield `  ${mark} ${code}: ${visible(message)}${where === '' ? '' : ` (${visible(where)})`}`;
  }
  if (report.attribution !== null) yield* attributionLines(report.attribution);
  const left = failures + warnings - findings.length;
  if (left > 0) yield `  … and ${left} more`;
  yield report.verified
    ? colour.green('  verified: nothing was changed, removed or reordered')
    : colour.red(`  NOT verified: ${failures} ${failures === 1 ? 'failure' : 'failures'}`);
}
