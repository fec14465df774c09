/**
 * Events in ArcSight's Common Event Format, version 0: `CEF:0|vendor|product|version|class|name|severity|extension`. Keys are
 * those of its dictionary; what the dictionary has none for stands in the custom strings, with their labels.
 */
import { version } from '../../system/version.ts';
import type { EvidenceEvent } from '../read/event.ts';
import { bounded, oneLine } from './bounded-text.ts';
import { eventId } from './event-id.ts';
import { gravityOf, type Gravity } from './gravity.ts';

const severities: Readonly<Record<Gravity, number>> = {
  informational: 1,
  low: 3,
  medium: 5,
  high: 8,
  critical: 10,
};

/** Lengths of the dictionary, in bytes at most. */
const longest = 1023;
const longestCustom = 4000;

/** One event, without a newline. */
export function cefEvent(event: EvidenceEvent): string {
  const name = [event.kind, event.outcome].filter((part) => part !== null).join(' ');
  const head = ['hoop', 'hoop', version, event.kind, name].map(headerField).join('|');
  return `CEF:0|${head}|${severities[gravityOf(event)]}|${extension(event)}`;
}

/** A pipe and a backslash are escaped in the header, an equals sign and a backslash behind it. */
const headerField = (text: string): string =>
  bounded(oneLine(text), 512).replaceAll(/[|\\]/g, String.raw`\$&`);
const extensionValue = (text: string, limit: number): string =>
  bounded(oneLine(text), limit).replaceAll(/[=\\]/g, String.raw`\$&`);

function extension(event: EvidenceEvent): string {
  const { principal, time, endedAt, target, text, outcome, reason, session, task, errorCode, review, rows } =
    event;
  const custom = [
    ['session', session],
    ['task', task],
    ['issuer', principal?.issuer],
    ['errorCode', errorCode],
    ['review', review],
    ['actsFor', principal?.actsFor?.subject],
  ] as const;
  const fields: readonly (readonly [string, string | null | undefined])[] = [
    ['externalId', eventId(event)],
    ['rt', String(Date.parse(time))],
    ['start', String(Date.parse(time))],
    ['end', endedAt === null ? null : String(Date.parse(endedAt))],
    ['suid', principal?.subject],
    ['suser', principal?.email ?? principal?.subject],
    ['dhost', target],
    ['act', event.kind],
    ['outcome', outcome],
    ['reason', reason],
    ['cnt', rows === null ? null : String(rows)],
    ...custom.flatMap(([label, value], at) => labelled(`cs${at + 1}`, label, value)),
    ['msg', text],
  ];
  return fields
    .flatMap(([key, value]) =>
      value === null || value === undefined
        ? []
        : [
            `${key}=${extensionValue(value, key.startsWith('cs') || key === 'msg' ? longestCustom : longest)}`,
          ],
    )
    .join(' ');
}

const labelled = (key: string, label: string, value: string | null | undefined) =>
  value === null || value === undefined
    ? []
    : ([
        [key, value],
        [`${key}Label`, label],
      ] as const);
