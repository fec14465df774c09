/** `hoop audit report`: makes the report of what a source tells, and prints it. */
import { ReportBuilder, type AuditReport } from '../../evidence/report/index.ts';
import type { Control, RecordReference } from '../../evidence/report/control-counts.ts';
import type { Kill } from '../../evidence/report/kills.ts';
import type { AuditQuery } from '../../wire/audit.ts';
import { colour, visible } from '../colour.ts';
import type { HoopCommand } from '../command.ts';
import { nameOf } from '../person.ts';
import { reportLines } from './report.ts';
import type { AuditSource } from './source.ts';
import type { Verified } from './verification.ts';

/** @param verified null: nothing was verified */
export async function makeReport(
  source: AuditSource,
  query: AuditQuery,
  verified: Verified | null,
): Promise<AuditReport> {
  const builder = new ReportBuilder();
  for await (const events of source.events(query)) for (const event of events) builder.take(event);
  return builder.report(query, verified?.report ?? null);
}

type Output = Pick<HoopCommand, 'print' | 'printTable'>;

/** Rows of a table on a terminal; `--json` and the page have more. */
const shownRows = 20;

export function printReport(out: Output, report: AuditReport, verified: Verified | null): void {
  const { people, targets, denials, reviews, kills, gaps } = report;
  for (const line of summaryLines(report)) out.print(line);
  out.print('');
  if (verified === null) out.print(colour.yellow('  ! not verified: what follows is the record’s own word'));
  else for (const line of reportLines(verified)) out.print(line);
  const table = <T>(
    heads: readonly string[],
    all: readonly T[],
    row: (item: T) => readonly (string | null)[],
    more = 0,
  ): void => {
    if (all.length === 0) return;
    out.print('');
    out.printTable(heads, all.slice(0, shownRows).map(row));
    const left = Math.max(0, all.length - shownRows) + more;
    if (left > 0) out.print(`  … and ${left} more (--json, --html)`);
  };
  table(
    ['person', 'sessions', 'commands', 'failed', 'denied', 'asked', 'decided', 'reads', 'targets'],
    people,
    (row) => [
      nameOf(row.who),
      ...[row.sessions, row.commands, row.failed, row.denied, row.reviewsAsked].map(String),
      ...[row.reviewsDecided, row.reads].map(String),
      row.targets.join(', '),
    ],
  );
  table(
    ['target', 'people', 'sessions', 'commands', 'failed', 'denied', 'held', 'killed', 'masked'],
    targets,
    (row) => [
      row.target,
      ...[row.people, row.sessions, row.commands, row.failed, row.denied, row.held].map(String),
      ...[row.kills, row.redactions].map(String),
    ],
  );
  table(['denied', 'person', 'target', 'policies', 'last', 'text'], denials, (row) => [
    String(row.count),
    nameOrRelay(row.by),
    row.target,
    row.policies.join(', ') || 'none permits it',
    row.lastAt,
    row.text,
  ]);
  table(
    ['review', 'asked by', 'target', 'outcome', 'after', 'decided by', 'text'],
    reviews.listed,
    (row) => [
      row.review,
      nameOrRelay(row.by),
      row.target,
      row.outcome,
      spanOf(row.seconds),
      row.decisions.map(({ by, decision }) => `${nameOrRelay(by)} (${decision})`).join(', '),
      row.text,
    ],
    reviews.more,
  );
  table(
    ['killed', 'session', 'target', 'by', 'reason'],
    kills.listed,
    (row) => [row.time, row.session, row.target, killerOf(row), row.reason],
    kills.more,
  );
  table(
    ['missing', 'time', 'session', 'reason', 'entries'],
    gaps.listed,
    (row) => [row.kind, row.time, row.session, row.reason, row.entries === null ? null : String(row.entries)],
    gaps.more,
  );
  for (const control of report.controls) for (const line of controlLines(control)) out.print(line);
}

export const nameOrRelay = (by: Parameters<typeof nameOf>[0] | null): string =>
  by === null ? 'relay' : nameOf(by);

/** An operator has no name but the account at the relay's machine. */
export const killerOf = ({ by, operator }: Pick<Kill, 'by' | 'operator'>): string =>
  by === null ? `operator ${visible(operator ?? '?')}` : nameOf(by);

/** `42 s`, `3 min`, `2.5 h`; null: not known. */
export function spanOf(seconds: number | null): string | null {
  if (seconds === null) return null;
  if (seconds < 90) return `${Math.round(seconds * 10) / 10} s`;
  const minutes = seconds / 60;
  return minutes < 90 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 6) / 10} h`;
}

/** `3 approved, 1 rejected`; null: none. */
export function countsOf(counts: Readonly<Record<string, number>>): string | null {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return parts.length === 0 ? null : parts.join(', ');
}

/** What was asked for, as it stands in a headline; null: everything. */
export function filterOf({ filter }: AuditReport): string | null {
  const parts = Object.entries(filter).map(([name, value]) => `${name} ${value}`);
  return parts.length === 0 ? null : parts.join(', ');
}

function* summaryLines(report: AuditReport): Generator<string> {
  const { from, to, totals, reviews } = report;
  const filter = filterOf(report);
  if (filter !== null) yield `  of          ${visible(filter)}`;
  yield from === null || to === null ? '  no events' : `  from, to    ${visible(from)}, ${visible(to)}`;
  const facts = [
    ['commands', countsOf(totals.commands)],
    ['opened', countOf(totals.events['session.opened'], 'session')],
    ['closed', countsOf(totals.endings)],
    ['reviews', countsOf(totals.reviews)],
    ['decided', decidedIn(reviews)],
  ] as const;
  for (const [name, value] of facts) if (value !== null) yield `  ${name.padEnd(11)} ${visible(value)}`;
  if (totals.redactions > 0) yield `  masked      ${totals.redactions} values`;
}

const countOf = (count: number | undefined, what: string): string | null =>
  count === undefined ? null : `${count} ${what}${count === 1 ? '' : 's'}`;

/** How fast reviewers were; null: nothing was decided. */
export function decidedIn({ medianSeconds, longestSeconds }: AuditReport['reviews']): string | null {
  if (medianSeconds === null) return null;
  return `in ${spanOf(medianSeconds)} (median), ${spanOf(longestSeconds)} at most`;
}

function* controlLines({ id, title, records, proofs, notShown }: Control): Generator<string> {
  yield '';
  yield `${colour.bold(id)}  ${title}`;
  for (const { count, shows, samples } of records) {
    const [example] = samples;
    const at = example === undefined ? '' : colour.dim(`  (${visible(referenceOf(example))})`);
    yield `  ${String(count).padStart(8)}  ${shows}${at}`;
  }
  for (const { says, holds } of proofs) {
    const mark = holds === null ? colour.yellow('?') : holds ? colour.green('✓') : colour.red('✗');
    yield `         ${mark}  ${visible(says)}`;
  }
  for (const line of notShown) yield `         –  not shown: ${line}`;
}

/** Where a record stands: `entry 12`, `command 3 of 01JD…`. */
export const referenceOf = ({ logIndex, session, command }: RecordReference): string =>
  logIndex === null ? `command ${command ?? '?'} of ${session ?? '?'}` : `entry ${logIndex}`;
