/** A verification report for people. */
import { colour, visible } from '../colour.ts';
import { attributionLines } from './attribution.ts';
import type { BundleReport, OriginalsReport, WitnessReport } from '../../evidence/verify/index.ts';
import type { Verified } from './verification.ts';

export function* reportLines({ report, sessions, bundle }: Verified): Generator<string> {
  const { checkpoint, counts, failures, warnings, findings, witnessed } = report;
  if (checkpoint !== null) yield `  log         ${visible(checkpoint.origin)}, ${checkpoint.size} entries`;
  for (const { vkey, since } of report.keys.length > 1 ? report.keys : [])
    yield `  key         ${visible(vkey)}${since === null ? '' : `, handed over to in entry ${since}`}`;
  if (witnessed !== null) yield* witnessLines(witnessed, checkpoint?.size ?? 0);
  if (report.from !== null && report.to !== null) yield `  from, to    ${report.from}, ${report.to}`;
  const scope = sessions === null ? '' : ` (recordings of ${sessions} were looked for)`;
  yield `  sessions    ${counts.sessions}, ${counts.unfinishedSessions} unfinished${scope}`;
  if (bundle !== undefined) yield* insideLines(bundle, counts.sessions);
  yield `  checked     ${counts.entries} entries, ${counts.segments} segments, ${counts.signatures} signatures of people`;
  if (report.originals !== null) yield* originalsLines(report.originals);
  if (counts.resealed > 0) yield `  resealed    ${counts.resealed} files of originals, as the log says`;
  const { segments, originals } = counts.erased;
  if (segments + originals > 0)
    yield `  erased      ${segments} segments and ${originals} files of originals, as the log says`;
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

function* originalsLines({ opened, locked, unpromised }: OriginalsReport): Generator<string> {
  const before = unpromised === 0 ? '' : `; ${unpromised} segments are older than that promise`;
  yield `  originals   ${opened} opened, and what the log promised${before}`;
  if (locked > 0) yield `              ${locked} segments are for other identities`;
}

function* witnessLines({ witnesses, size }: WitnessReport, entries: number): Generator<string> {
  const upTo =
    size === null ? 'the policy holds for no entry' : `the policy holds for ${size} of ${entries} entries`;
  yield `  witnessed   ${upTo}`;
  for (const { name, size: vouched, seconds } of witnesses) {
    const said =
      vouched === null || seconds === null
        ? 'nothing'
        : `${vouched} entries, ${new Date(seconds * 1000).toISOString()}`;
    yield `              ${visible(name)}: ${said}`;
  }
}

/** What a bundle holds, and what it does not. */
function* insideLines({ info, sessions, exported }: BundleReport['bundle'], all: number): Generator<string> {
  if (sessions === null) yield '  inside      the log, and the recordings of all its sessions';
  else {
    const filter = Object.entries(info?.filter ?? {}).map(([name, value]) => `${name} ${value}`);
    const asked = filter.length === 0 ? '' : ` (${visible(filter.join(', '))})`;
    yield `  inside      the log, and the recordings of ${sessions} sessions${asked}`;
    yield `  not inside  the recordings of ${Math.max(0, all - sessions)} other sessions`;
  }
  if (info !== null)
    yield `  exported    ${info.begun} from ${visible(info.relay ?? 'an evidence directory')}`;
  if (exported !== null) yield `  by whom     entry ${exported} of the log tells`;
}
