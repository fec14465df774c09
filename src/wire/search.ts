/**
 * `POST /v1/audit/search`: `SearchQuery` as JSON → `SearchItem` of `evidence/search`, as JSON lines that end with the `end`. By POST, since
 * what people look for does not belong into addresses, which proxies keep. It is signed and recorded like the filters of every read.
 */
import { z } from 'zod';
import { askedFor, AuditQuery, WhoView, type AskedFor } from './audit.ts';

/** Where in a session something is looked for. */
export const searchKinds = ['command', 'parameters', 'input', 'output', 'error-output'] as const;

export const SearchQuery = AuditQuery.omit({ outcome: true }).extend({
  text: z.string().min(1).max(1000),
  /** `text` is a pattern, of the language of docs/masking.md. */
  regex: z.boolean(),
  ignoreCase: z.boolean(),
  kinds: z.array(z.enum(searchKinds)).min(1).max(searchKinds.length),
  /** Lines before and after. */
  context: z.int().min(0).max(20),
  /** Matching lines. */
  limit: z.int().min(1).max(100_000),
});
export type SearchQuery = z.infer<typeof SearchQuery>;

/** What is signed and recorded of it. */
export const askedInSearch = (query: SearchQuery): AskedFor => askedFor(...searchAsked(query));

/** The parts that `askedFor` takes. */
export function searchAsked({
  from,
  to,
  person,
  target,
  task,
  session,
  kinds,
  ...pattern
}: SearchQuery): Parameters<typeof askedFor> {
  return [
    { from, to, person, target, task, session },
    { ...pattern, kinds: kinds.join(' ') },
  ];
}

const count = z.int().nonnegative();
const counts = { sessions: count, ofSessions: count, rawBytes: count, ofRawBytes: count };
const ulid = AuditQuery.shape.session.unwrap();

/** Explained at `SearchItem` of `evidence/search`. */
export const SearchView = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('match'),
    session: ulid,
    target: z.string(),
    principal: WhoView,
    task: z.string().nullable(),
    time: z.string(),
    micros: count,
    connection: count,
    command: count,
    where: z.enum(searchKinds),
    line: z.array(z.string()),
    before: z.array(z.string()),
    after: z.array(z.string()),
  }),
  z.object({ kind: z.literal('missing'), session: ulid, segments: count }),
  z.object({ kind: z.literal('unreadable'), session: ulid, code: z.string() }),
  z.object({ kind: z.literal('progress'), ...counts }),
  z.object({ kind: z.literal('end'), matches: count, complete: z.boolean(), ...counts }),
]);
export type SearchView = z.infer<typeof SearchView>;
