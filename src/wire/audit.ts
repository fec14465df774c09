/**
 * The relay's API for reading evidence (`/v1/audit/…`), as schemas. Every call needs the right to read evidence and leaves
 * an `evidence.read` entry in the log before it answers. Each carries, in the header `Hoop-Request`, what the reader's key
 * signed: `EvidenceReadClaims` of exactly what the call asks for. So do the log's entry bundles (`/log/tile/entries/…`).
 *
 * - `GET /v1/audit/sessions` → `SessionList`; filters of `AuditQuery`
 * - `GET /v1/audit/sessions/:id` → `SessionSummaryView`
 * - `GET /v1/audit/sessions/:id/transcript` → `TranscriptItem` of `evidence/read`, as JSON lines; `?follow=true`: until the
 *   session ends
 * - `GET /v1/audit/sessions/:id/channels` → `ChannelList`: the channels of a server's session
 * - `GET /v1/audit/sessions/:id/streams` → `StreamItem` of `evidence/read`, as JSON lines: what passed through them; `?channel=`,
 *   `?input=true`, `?follow=true`
 * - `GET /v1/audit/events` → `EvidenceEvent` of `evidence/read`, as JSON lines; filters of `AuditQuery`
 * - `GET /v1/audit/sessions/:id/originals` → `SealedSegment` of `evidence/read`, as JSON lines; still sealed. `?segment=`,
 *   `?rule=`, `?command=`, `?index=` choose what is handed out. Needs the right to unseal; its entry says so
 * - `GET /v1/audit/tail` → the same from now on, until the caller hangs up; empty lines keep it alive
 * - `GET /v1/audit/stream?next=` → `LeafView` as JSON lines: by the log's own order, from this leaf on, until the caller hangs up; empty
 *   lines say that there is nothing more for now
 * - `POST /v1/audit/search` → `wire/search.ts`
 * - `GET /v1/audit/files` → `EvidenceFile` as JSON lines: all that verification needs
 * - `GET /v1/audit/file?path=` → one of them
 * - `GET /v1/audit/manifest?manifest=` → `ManifestNote`: a bundle's manifest, by its SHA-256, signed by the log's key; filters of
 *   `AuditQuery`, as the bundle was asked for
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { PrincipalView } from './api.ts';

const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
/** Any RFC 3339 time; becomes UTC with milliseconds, which sorts as text. */
const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());
const text = z.string().min(1).max(1024);

export const AuditQuery = z.strictObject({
  from: moment.optional(),
  to: moment.optional(),
  /** E-mail or subject. */
  person: text.optional(),
  target: name.optional(),
  task: text.optional(),
  session: ulid.optional(),
  outcome: z
    .string()
    .regex(/^[a-z-]{1,32}$/)
    .optional(),
});
export type AuditQuery = z.infer<typeof AuditQuery>;

/** Query of `GET /v1/audit/stream`. */
export const StreamQuery = AuditQuery.extend({ next: z.coerce.number().int().nonnegative() });

/** Query of `GET /v1/audit/manifest`. */
export const ManifestQuery = AuditQuery.extend({ manifest: z.string().regex(/^[0-9a-f]{64}$/) });
/** A C2SP signed note; its text is explained at `formatStatement` of `evidence/bundle`. */
export const ManifestNote = z.object({ note: z.string().max(65_536) });

/** Ways of reading; `evidence.<action>` is what is signed. `files`: files of the log or of one session. */
export const readActions = [
  'sessions',
  'show',
  'export',
  'replay',
  'tail',
  'files',
  'unseal',
  'search',
] as const;
export type ReadAction = (typeof readActions)[number];

/** Name of the header that carries the signed request of a read. */
export const signedReadHeader = 'hoop-request';

/** Signed by the reader's key, as `SessionKillClaims` of `api.ts`. What is not asked for is left out. */
export const EvidenceReadClaims = z.strictObject({
  v: z.literal(1),
  action: z.templateLiteral(['evidence.', z.enum(readActions)]),
  relay: z.url(),
  session: ulid.optional(),
  from: z.iso.datetime({ precision: 3 }).optional(),
  to: z.iso.datetime({ precision: 3 }).optional(),
  /** The other parameters of the call, after validation, as text. */
  filters: z.record(z.string().max(32), z.string().max(1024)).optional(),
  iat: z.int(),
  jti: z.string().min(16).max(64),
});
export type EvidenceReadClaims = z.infer<typeof EvidenceReadClaims>;

/** What a read asks for, in the form in which it is signed and recorded. */
export type AskedFor = Pick<EvidenceReadClaims, 'session' | 'from' | 'to' | 'filters'>;

/** @param more parameters that only this call has */
export function askedFor(
  { session, from, to, ...rest }: AuditQuery,
  more: Readonly<Record<string, string | number | boolean | undefined>> = {},
): AskedFor {
  const filters = Object.entries({ ...rest, ...more })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
  return {
    ...(session !== undefined && { session }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(filters.length > 0 && { filters: Object.fromEntries(filters) }),
  };
}

/** True when exactly this was signed. */
export const isAskedFor = (claims: EvidenceReadClaims, action: ReadAction, asked: AskedFor): boolean =>
  claims.action === `evidence.${action}` &&
  claims.session === asked.session &&
  claims.from === asked.from &&
  claims.to === asked.to &&
  isDeepStrictEqual({ ...claims.filters }, { ...asked.filters });

const count = z.int().nonnegative();

/** Who did it, as the record has it. */
export const WhoView = PrincipalView.extend({
  actsFor: z
    .object({ issuer: z.string(), subject: z.string(), email: z.string().nullable() })
    .nullable()
    .default(null),
});

export const SessionSummaryView = z.object({
  session: ulid,
  target: name,
  protocol: z.string(),
  principal: WhoView,
  reason: z.string().nullable(),
  task: z.string().nullable(),
  openedAt: z.string(),
  deadline: z.string(),
  closedAt: z.string().nullable(),
  outcome: z.string(),
  totals: z.object({
    segments: count,
    commands: count,
    bytes: count,
    rawBytes: count,
    redactions: count,
  }),
  erased: z
    .object({ what: z.enum(['recording', 'originals']), at: z.string() })
    .nullable()
    .default(null),
});
export type SessionSummaryView = z.infer<typeof SessionSummaryView>;
export const SessionList = z.object({ sessions: z.array(SessionSummaryView) });

/** `path` is below the evidence directory and is the only form in which `/v1/audit/file` takes it. */
export const EvidenceFile = z.object({ path: z.string(), bytes: count });
export type EvidenceFile = z.infer<typeof EvidenceFile>;

const textOrNull = z.string().nullable();
const numberOrNull = z.number().nullable();

const how = z.enum(['reconstructed', 'marked']);

/** One thing that happened; the fields are explained at `EvidenceEvent` of `evidence/read`. */
export const EventView = z.object({
  time: z.string(),
  kind: z.string(),
  logIndex: numberOrNull,
  principal: WhoView.nullable(),
  session: textOrNull,
  target: textOrNull,
  task: textOrNull,
  reason: textOrNull,
  connection: numberOrNull,
  command: numberOrNull,
  endedAt: textOrNull,
  durationMs: numberOrNull,
  text: textOrNull,
  textBytes: textOrNull,
  parameters: z.array(textOrNull).nullable(),
  outcome: textOrNull,
  tag: textOrNull,
  rows: numberOrNull,
  errorCode: textOrNull,
  effects: z.array(z.string()).nullable().default(null),
  relations: z.array(z.string()).nullable().default(null),
  functions: z.array(z.string()).nullable().default(null),
  review: textOrNull.default(null),
  redactions: numberOrNull.default(null),
  details: z.record(z.string(), z.unknown()).nullable(),
  programs: z.array(z.string()).nullable().default(null),
  paths: z.array(z.string()).nullable().default(null),
  destinations: z.array(z.string()).nullable().default(null),
  parent: numberOrNull.default(null),
  how: how.nullable().default(null),
  protocol: textOrNull.default(null),
});
export type EventView = z.infer<typeof EventView>;

/** What a leaf of the log made known. */
export const LeafView = z.object({ index: count, events: z.array(EventView) });
export type LeafView = z.infer<typeof LeafView>;

const redactionParts = [
  'row',
  'message',
  'statement',
  'text',
  'parameter',
  'input',
  'startup',
  'output',
  'error-output',
] as const;
const redaction = {
  rule: z.string(),
  row: count.nullable(),
  column: count.nullable(),
  offset: count,
  length: count,
  /** Sealed index in its segment; null: the original was not kept. */
  sealed: count.nullable(),
};

const origin = z.object({ parent: count, how });
const streams = ['input', 'output', 'error-output'] as const;
const place = { micros: count, connection: count, command: count };
const said = {
  severity: z.string(),
  code: z.string(),
  message: z.string(),
  detail: textOrNull,
  hint: textOrNull,
};

/** One thing in a session as its client saw it; explained at `TranscriptItem` of `evidence/read`. */
export const TranscriptView = z.discriminatedUnion('kind', [
  z.object({ ...place, kind: z.literal('connected'), parameters: z.record(z.string(), z.string()) }),
  z.object({ ...place, kind: z.literal('disconnected'), reason: z.string() }),
  z.object({
    ...place,
    kind: z.literal('command'),
    text: z.string(),
    parameters: z.array(textOrNull).nullable(),
    origin: origin.nullable().default(null),
  }),
  z.object({
    ...place,
    kind: z.literal('masked'),
    part: z.enum(redactionParts),
    places: z.array(z.object(redaction)),
  }),
  z.object({ ...place, kind: z.literal('columns'), names: z.array(z.string()) }),
  z.object({ ...place, kind: z.literal('row'), values: z.array(textOrNull) }),
  z.object({ ...place, kind: z.literal('complete'), tag: z.string() }),
  z.object({ ...place, kind: z.enum(['error', 'notice']), ...said }),
  z.object({ ...place, kind: z.literal('notification'), channel: z.string(), payload: z.string() }),
  z.object({ ...place, kind: z.literal('text'), stream: z.enum(streams), data: z.string() }),
  z.object({ ...place, kind: z.literal('window'), columns: count, rows: count }),
  z.object({ ...place, kind: z.enum(['copy-in', 'copy-out']), data: z.string() }),
  z.object({ ...place, kind: z.literal('outcome'), outcome: z.string(), errorCode: textOrNull }),
  z.object({ ...place, kind: z.literal('unreadable') }),
]);
export type TranscriptView = z.infer<typeof TranscriptView>;

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);

/** Query of `GET /v1/audit/sessions/:id/transcript`. */
export const TranscriptQuery = z.strictObject({ follow: z.literal('true').optional() });

/** One channel of a server's session; explained at `Channel` of `evidence/read`. */
export const ChannelView = z.object({
  channel: count,
  kind: z.string(),
  term: textOrNull,
  text: textOrNull,
  columns: numberOrNull,
  rows: numberOrNull,
  openedMicros: count,
  closedMicros: numberOrNull,
  outcome: textOrNull,
  tag: textOrNull,
});
export type ChannelView = z.infer<typeof ChannelView>;
export const ChannelList = z.object({ channels: z.array(ChannelView) });

const at = { micros: count, channel: count };

/** One thing that passed through a channel; explained at `StreamItem` of `evidence/read`. */
export const StreamView = z.discriminatedUnion('kind', [
  z.object({ ...at, kind: z.literal('opened'), type: z.string(), term: textOrNull }),
  z.object({
    ...at,
    kind: z.literal('command'),
    command: count,
    text: z.string(),
    origin: origin.nullable(),
  }),
  z.object({ ...at, kind: z.literal('window'), columns: count, rows: count }),
  z.object({ ...at, kind: z.enum(streams), bytes: base64 }),
  z.object({
    ...at,
    kind: z.literal('outcome'),
    command: count,
    outcome: z.string(),
    tag: textOrNull,
    errorCode: textOrNull,
  }),
  z.object({ ...at, kind: z.literal('closed'), reason: z.string() }),
  z.object({ ...at, kind: z.literal('ended'), outcome: z.string() }),
]);
export type StreamView = z.infer<typeof StreamView>;

/** Query of `GET /v1/audit/sessions/:id/streams`. */
export const StreamsQuery = z.strictObject({
  channel: z.coerce.number().int().positive().optional(),
  input: z.literal('true').optional(),
  follow: z.literal('true').optional(),
});
export type StreamsQuery = z.infer<typeof StreamsQuery>;

/** The redactions of one segment and their originals, sealed; explained at `SealedSegment` of `evidence/read`. */
export const SealedSegmentView = z.object({
  session: ulid,
  segment: count,
  redactions: z.array(
    z.object({
      ...redaction,
      part: z.enum(redactionParts),
      micros: count,
      connection: count,
      subject: count,
    }),
  ),
  age: base64.nullable(),
  sealKey: base64.nullable(),
  originals: z.array(z.object({ first: count, bytes: base64 })),
});
export type SealedSegmentView = z.infer<typeof SealedSegmentView>;

/** Query of `GET /v1/audit/sessions/:id/originals`. */
export const OriginalsQuery = z.strictObject({
  segment: z.coerce.number().int().nonnegative().optional(),
  rule: text.optional(),
  command: z.coerce.number().int().positive().optional(),
  /** Sealed indexes, separated by commas. */
  index: z
    .string()
    .regex(/^\d{1,9}(,\d{1,9})*$/)
    .max(1024)
    .optional(),
});
export type OriginalsQuery = z.infer<typeof OriginalsQuery>;
export const indexesIn = ({ index }: OriginalsQuery): number[] | undefined => index?.split(',').map(Number);
