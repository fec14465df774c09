/**
 * Events in the forms that people and programs take, one at a time: memory stays flat whatever the range. JSON and JSON Lines
 * deliberately change nothing; CSV, which spreadsheets execute, disarms what looks like a formula; the others are for
 * receivers of security events (`ocsf.ts`, `syslog.ts`, `cef.ts`).
 *
 * The columns of CSV are a contract: new ones are added at the end.
 */
import type { EvidenceEvent } from '../read/event.ts';
import { cefEvent } from './cef.ts';
import { ocsfEvent } from './ocsf.ts';
import { syslogMessage } from './syslog.ts';

/** A line an event. */
export const lineFormats = ['jsonl', 'ocsf', 'syslog', 'cef'] as const;
export type LineFormat = (typeof lineFormats)[number];
export const exportFormats = ['json', 'csv', ...lineFormats] as const;
export type ExportFormat = (typeof exportFormats)[number];

const lines: Readonly<Record<LineFormat, (event: EvidenceEvent) => string>> = {
  jsonl: (event) => JSON.stringify(event),
  ocsf: ocsfEvent,
  syslog: (event) => syslogMessage(event),
  cef: cefEvent,
};

/** One event, without a newline. */
export const lineOf = (event: EvidenceEvent, form: LineFormat): string => lines[form](event);

/**
 * The text of an export, piece by piece.
 * @param batches as `readEventBatches` gives them; or all events
 */
export async function* format(
  batches: AsyncIterable<readonly EvidenceEvent[]> | readonly EvidenceEvent[],
  form: ExportFormat,
): AsyncGenerator<string> {
  if (form === 'csv') yield csvHead;
  let before = form === 'json' ? '[\n' : '';
  for await (const events of Symbol.asyncIterator in batches ? batches : [batches]) {
    let text = '';
    for (const event of events) {
      if (form === 'csv') text += csvLine(event);
      else if (form === 'json') text += `${before}${JSON.stringify(event)}`;
      else text += `${lineOf(event, form)}\n`;
      before = ',\n';
    }
    yield text;
  }
  if (form === 'json') yield before === '[\n' ? '[]\n' : '\n]\n';
}

type Cell = string | number | null;
const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

const csvColumns: readonly (readonly [string, (event: EvidenceEvent) => Cell])[] = [
  ['time', (event) => event.time],
  ['kind', (event) => event.kind],
  ['ended_at', (event) => event.endedAt],
  ['duration_ms', (event) => event.durationMs],
  ['principal_kind', (event) => event.principal?.kind ?? null],
  ['issuer', (event) => event.principal?.issuer ?? null],
  ['subject', (event) => event.principal?.subject ?? null],
  ['email', (event) => event.principal?.email ?? null],
  ['groups', (event) => event.principal?.groups.join(' ') ?? null],
  ['session', (event) => event.session],
  ['target', (event) => event.target],
  ['task', (event) => event.task],
  ['reason', (event) => event.reason],
  ['connection', (event) => event.connection],
  ['command', (event) => event.command],
  ['text', (event) => event.text],
  ['parameters', (event) => json(event.parameters)],
  ['outcome', (event) => event.outcome],
  ['tag', (event) => event.tag],
  ['rows', (event) => event.rows],
  ['error_code', (event) => event.errorCode],
  ['log_index', (event) => event.logIndex],
  ['details', (event) => json(event.details)],
  ['text_bytes', (event) => event.textBytes],
  ['effects', (event) => event.effects?.join(' ') ?? null],
  ['relations', (event) => json(event.relations)],
  ['functions', (event) => json(event.functions)],
  ['review', (event) => event.review],
  ['redactions', (event) => event.redactions],
  ['programs', (event) => json(event.programs)],
  ['paths', (event) => json(event.paths)],
  ['destinations', (event) => json(event.destinations)],
  ['parent', (event) => event.parent],
  ['how', (event) => event.how],
  ['acts_for_issuer', (event) => event.principal?.actsFor?.issuer ?? null],
  ['acts_for_subject', (event) => event.principal?.actsFor?.subject ?? null],
  ['acts_for_email', (event) => event.principal?.actsFor?.email ?? null],
  ['protocol', (event) => event.protocol],
];

export const csvHead = `${csvColumns.map(([name]) => name).join(',')}\r\n`;

/** One event (RFC 4180): CRLF, quotes doubled. */
export function csvLine(event: EvidenceEvent): string {
  let line = '';
  for (let i = 0; i < csvColumns.length; i++) {
    if (i > 0) line += ',';
    line += csvCell(csvColumns[i]![1](event));
  }
  return `${line}\r\n`;
}

function csvCell(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const text = disarm(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A spreadsheet runs a cell that begins like a formula: an apostrophe in front makes it text. A cell that begins with an
 * apostrophe already gets one more, so that taking one away always gives back what was recorded.
 */
const disarm = (text: string): string => (/^['=+\-@\t\r\n\0＝＋－＠]/.test(text) ? `'${text}` : text);
