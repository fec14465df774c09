/**
 * The relay's API for reading evidence (`/v1/audit/…`), as schemas. Every call needs the right to read evidence and leaves
 * an `evidence.read` entry in the log before it answers.
 *
 * - `GET /v1/audit/sessions` → `SessionList`; filters of `AuditQuery`
 * - `GET /v1/audit/sessions/:id` → `SessionSummaryView`
 * - `GET /v1/audit/sessions/:id/transcript` → `TranscriptItem` of `evidence/read`, as JSON lines
 * - `GET /v1/audit/events` → `EvidenceEvent` of `evidence/read`, as JSON lines; filters of `AuditQuery`
 * - `GET /v1/audit/tail` → the same from now on, until the caller hangs up; empty lines keep it alive
 * - `GET /v1/audit/files` → `EvidenceFile` as JSON lines: all that verification needs
 * - `GET /v1/audit/file?path=` → one of them
 */
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

const count = z.int().nonnegative();

export const SessionSummaryView = z.object({
  session: ulid,
  target: name,
  protocol: z.string(),
  principal: PrincipalView,
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
});
export type SessionSummaryView = z.infer<typeof SessionSummaryView>;
export const SessionList = z.object({ sessions: z.array(SessionSummaryView) });

/** `path` is below the evidence directory and is the only form in which `/v1/audit/file` takes it. */
export const EvidenceFile = z.object({ path: z.string(), bytes: count });
export type EvidenceFile = z.infer<typeof EvidenceFile>;
