/**
 * Events as syslog messages (RFC 5424): facility 13 (log audit), structured data with the fields that receivers filter by, and
 * the event as JSON in MSG. At most 32 KiB, which common receivers take; a longer event has its text cut there, and says so.
 */
import type { EvidenceEvent } from '../read/event.ts';
import { bounded, oneLine } from './bounded-text.ts';
import { eventId } from './event-id.ts';
import { gravityOf, type Gravity } from './gravity.ts';

const facility = 13;
/** Informational, notice, warning, error, critical (RFC 5424 §6.2.1). */
const severities: Readonly<Record<Gravity, number>> = {
  informational: 6,
  low: 5,
  medium: 4,
  high: 3,
  critical: 2,
};

/** 32473 is the number that RFC 5612 keeps for documentation: hoop has none of its own. */
export const sdId = 'hoop@32473';
const longestText = 8 * 1024;
const longestValue = 1024;
const longestMessage = 32 * 1024;

/** One message, without a newline. @param hostname of the relay, as receivers know it */
export function syslogMessage(event: EvidenceEvent, hostname = '-'): string {
  const priority = facility * 8 + severities[gravityOf(event)];
  const head = `<${priority}>1 ${event.time} ${headerField(hostname, 255)} hoop - ${headerField(event.kind, 32)}`;
  const fixed = `${head} ${structuredData(event)} \uFEFF`;
  return `${fixed}${messageOf(event, longestMessage - Buffer.byteLength(fixed))}`;
}

/** PRINTUSASCII of at most so many characters, or the nil value. */
function headerField(text: string, longest: number): string {
  const printable = text.replaceAll(/[^\x21-\x7e]/g, '').slice(0, longest);
  return printable === '' ? '-' : printable;
}

function structuredData(event: EvidenceEvent): string {
  const { principal, session, target, task, outcome, errorCode, review } = event;
  const fields: readonly (readonly [string, string | null | undefined])[] = [
    ['id', eventId(event)],
    ['issuer', principal?.issuer],
    ['subject', principal?.subject],
    ['email', principal?.email],
    ['actsFor', principal?.actsFor?.subject],
    ['session', session],
    ['target', target],
    ['task', task],
    ['outcome', outcome],
    ['errorCode', errorCode],
    ['review', review],
  ];
  const given = fields.flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [`${name}="${parameterValue(value)}"`],
  );
  return `[${[sdId, ...given].join(' ')}]`;
}

/** RFC 5424 §6.3.3: backslash, quote and bracket are escaped. */
const parameterValue = (value: string): string =>
  bounded(oneLine(value), longestValue).replaceAll(/["\\\]]/g, String.raw`\$&`);

/** JSON has no control characters of its own; what its strings may hold beside is escaped, and says the same. */
function messageOf(event: EvidenceEvent, room: number): string {
  const whole = oneLineJson(event);
  if (Buffer.byteLength(whole) <= room) return whole;
  const { text, ...rest } = event;
  const shorter = text === null ? null : bounded(text, longestText);
  const cut = oneLineJson({ ...rest, text: shorter, textBytes: null, cut: true });
  if (Buffer.byteLength(cut) <= room) return cut;
  // Parameters, paths or details fill it: what stays says where all of it is.
  const { time, kind, logIndex, session, connection, command } = event;
  return oneLineJson({ time, kind, logIndex, session, connection, command, text: shorter, cut: true });
}

const oneLineJson = (value: object): string =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
