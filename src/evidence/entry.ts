/**
 * Entries: the leaves of the log. One JSON object in canonical form (RFC 8785, https://www.rfc-editor.org/rfc/rfc8785),
 * UTF-8, at most 65,535 bytes; whatever is larger stands in the recording and is named here by its digest.
 *
 * Versioning: a key may be added to a kind without a new version, and a reader ignores keys and kinds that it does not
 * know; a change of meaning raises `v`. Entries hold what auditors may read: never a secret, never a result.
 *
 * An entry does not hold its own index: that is its place in the log.
 */
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { erasureEntries } from './entries/erasure.ts';
import { logKeyRotated } from './entries/log-key.ts';
import { originalsEntries } from './entries/originals.ts';
import {
  base,
  byPerson,
  count,
  jws,
  login,
  policies,
  session,
  sha256,
  target,
  time,
  ulid,
  type Actor,
  type PersonActor,
} from './entries/shapes.ts';
import { storageEntries } from './entries/storage.ts';
import type { Principal } from '../model/principal.ts';
import { EvidenceError } from './error.ts';
import { OperatorAct } from './operator-act.ts';

/** C2SP tlog-tiles: the length of an entry is written as uint16. */
export const maxEntryBytes = 65_535;

export type { Actor, PersonActor } from './entries/shapes.ts';

/** A principal as entries name it. Without groups: the `login` entry has them. */
export const actorOf = ({ kind, issuer, subject, email, actsFor }: Principal): PersonActor => ({
  kind,
  issuer,
  subject,
  email,
  ...(actsFor !== null && {
    actsFor: { issuer: actsFor.issuer, subject: actsFor.subject, email: actsFor.email },
  }),
});
/**
 * Says that no session is open: whatever the run before left open was closed by entries before this one. Readers start
 * here, and `verify` calls a session that is open across it a failure.
 */
const RelayStarted = z.object({
  ...base,
  kind: z.literal('relay.started'),
  version: z.string(),
  configDigest: sha256,
});

/** Appended before `relay.started` when the run before did not close everything; `session.closed` entries precede it. */
const RelayRecovered = z.object({
  ...base,
  kind: z.literal('relay.recovered'),
  /** Sessions closed as `interrupted`; the first 1,000 by name. */
  sessions: z.array(session).max(1000),
  sessionCount: count,
  /** Segments that were found open and sealed as they were. */
  segments: count,
  /** Bytes of torn, never acknowledged writes that recovery cut. */
  logBytesCut: count,
  recordingBytesCut: count,
});

const ConfigChanged = z.object({
  ...base,
  kind: z.literal('config.changed'),
  configDigest: sha256,
  previousDigest: sha256.nullable(),
});

const IssuerKeys = z.object({
  ...base,
  kind: z.literal('issuer.keys'),
  issuer: z.string(),
  /** Of the JWKS document in canonical form. */
  jwksDigest: sha256,
  /** Null when it is too large for an entry: then it is in `issuers/<jwksDigest>.json` (`logins/layout.ts`). */
  jwks: z.record(z.string(), z.json()).nullable(),
});

/** Proofs that are kept beside the log (`logins/layout.ts`). */
export const keptProofKinds = ['id-token', 'saml-response'] as const;
export type KeptProofKind = (typeof keptProofKinds)[number];

/** Public key of a login: what the person's requests are signed with. */
export const LoginKey = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string().regex(/^[\w-]{43}$/),
  y: z.string().regex(/^[\w-]{43}$/),
});

const Login = z.object({
  ...byPerson,
  kind: z.literal('login'),
  login,
  /** The login that this one renews; null at a sign-in. */
  renews: login.nullable(),
  groups: z.array(z.string()),
  /** How the identity was proven, e.g. `device-code`. */
  method: z.string(),
  /** When, in which class and by which methods the person was authenticated, as the provider says; null: it does not. */
  authTime: time.nullable().optional(),
  acr: z.string().nullable().optional(),
  amr: z.array(z.string()).optional(),
  key: LoginKey,
  /** RFC 7638, SHA-256, base64url. */
  thumbprint: z.string().regex(/^[\w-]{43}$/),
  /** `cnf-by-issuer`: the ID token itself names the key (RFC 7800). */
  binding: z.enum(['cnf-by-issuer', 'bound-by-relay']),
  /**
   * SHA-256 of the compact ID token as it came, with a `broker` of the one that the actor's own issuer signed; kept beside the
   * log (`logins/layout.ts`). Absent when the sign-in was by something else.
   */
  idTokenDigest: sha256.optional(),
  /** Client id that the ID token was issued to; absent in entries of earlier versions. */
  audience: z.string().optional(),
  /** The relay's own provider, when it stood between the client and the actor's issuer; absent otherwise. */
  broker: z.object({ issuer: z.string() }).optional(),
  /** What it was proven by, where that is not the ID token itself: the identity provider's own word, or what a machine showed. */
  proof: z
    .object({
      kind: z.enum([...keptProofKinds, 'workload-token', 'client-assertion', 'client-secret', 'delegation']),
      /** SHA-256 of it as it came; null: the proof is a secret that is used again. */
      digest: sha256.nullable(),
      /** Rule of `identity.machines` that let it in. */
      rule: z.string().optional(),
    })
    .optional(),
  /** Origin of the log that told this sign-in first: its relay keeps the proof. Absent where that is this log. */
  keptBy: z.string().optional(),
  /** Of an agent that a person has let act for them: the person's login, and what its key signed. */
  delegation: z.object({ login, request: jws }).optional(),
});

/** A person lets an agent act for them for a while. On disk before the agent's token is handed out. */
const AgentDelegated = z.object({
  ...byPerson,
  kind: z.literal('agent.delegated'),
  /** The person's login, whose key signed `request` (`AgentDelegateClaims`). */
  login,
  agent: z.object({ issuer: z.string(), subject: z.string() }),
  targets: z.array(target).nullable(),
  task: z.string().nullable(),
  reason: z.string().nullable(),
  expires: time,
  policies,
  request: jws,
});

const LoginEnded = z.object({
  ...base,
  kind: z.literal('login.ended'),
  login,
  reason: z.enum(['logout', 'expired', 'revoked', 'user-removed']),
  /** Absent: no operator did it. */
  operator: OperatorAct.optional(),
});

const SessionOpened = z.object({
  ...byPerson,
  kind: z.literal('session.opened'),
  session,
  login,
  target,
  protocol: z.string(),
  reason: z.string().nullable(),
  task: z.string().nullable(),
  deadline: time,
  /** Ids of the policies that determined the decision. */
  policies,
  /** Rules of masking that do not hold for this person here, and the groups that make it so; absent when all hold. */
  exemptions: z
    .array(z.object({ rule: z.string(), groups: z.array(z.string()).min(1) }))
    .min(1)
    .optional(),
  /** The person's signed request, compact JWS as it came (`SessionOpenClaims`). */
  request: jws,
});

const Segment = z.object({
  ...base,
  kind: z.literal('segment'),
  session,
  /** From 0, consecutive in the session. */
  index: count,
  /** Of the stored file, `<index>.cbor.zst`. */
  sha256,
  /** Length of the stored file. */
  bytes: count,
  /** Length of the CBOR sequence in it. */
  rawBytes: count,
  /** Smallest and largest `t` of its records: microseconds since `session.opened`. */
  firstMicros: count,
  lastMicros: count,
  /** Commands whose `command` record stands in this segment. */
  commands: count,
  redactions: count,
  /** SHA-256 of `<index>.age`; null when nothing was sealed. */
  sealed: sha256.nullable(),
  /** SHA-256 of what is sealed in it, whose beginning is random: nobody can try values. Absent in entries of earlier versions. */
  originals: sha256.nullable().optional(),
});

const commandStopped = {
  ...byPerson,
  session,
  connection: count,
  command: count,
  /** SHA-256 of the text's bytes. */
  digest: sha256,
  /** The text when it is short; the recording has it in any case. */
  text: z.string().max(4096).nullable(),
  policies,
};
const CommandHeld = z.object({ ...commandStopped, kind: z.literal('command.held'), review: ulid });
const CommandBlocked = z.object({ ...commandStopped, kind: z.literal('command.blocked') });

/** Asks people about a held command; `command.held` of the same review stands before it. Actor: who sent the command. */
const ReviewRequested = z.object({
  ...byPerson,
  kind: z.literal('review.requested'),
  review: ulid,
  session,
  /** What decisions bind (`wire/review-binding.ts`): over `command.held`, `session.opened` and what follows here. */
  digest: sha256,
  /** SHA-256 of the parameters' bytes as recorded; null: the command has none. */
  parametersDigest: sha256.nullable(),
  effects: z.array(z.string()),
  needed: z.array(z.object({ group: z.string(), count: z.int().positive() })).min(1),
  expires: time,
});

/** One person's decision. Actor: the reviewer. On disk before the reviewer is answered, and before the command goes. */
const ReviewDecided = z.object({
  ...byPerson,
  kind: z.literal('review.decided'),
  review: ulid,
  session,
  /** The reviewer's login, whose key signed `request` (`ReviewDecisionClaims`). */
  login,
  decision: z.enum(['approve', 'reject']),
  reason: z.string().nullable(),
  /** The bound digest that was signed. */
  digest: sha256,
  /** Needed groups for which the reviewer spoke. */
  groups: z.array(z.string()).min(1),
  /** The review with this decision: `pending` waits for more. */
  outcome: z.enum(['pending', 'approved', 'rejected']),
  request: jws,
});

/** The review is over without a last word of a reviewer, or the client left at the moment of the approval. */
const ReviewEnded = z.object({
  ...base,
  kind: z.literal('review.ended'),
  review: ulid,
  session,
  outcome: z.enum(['expired', 'withdrawn']),
  /** `interrupted`: said by recovery. `failed`: the relay could not go on with it. */
  reason: z.enum(['expired', 'cancelled', 'disconnected', 'session-ended', 'interrupted', 'failed']),
});

/** Somebody tried to decide and was refused. Actor: who tried. */
const ReviewRefused = z.object({
  ...byPerson,
  kind: z.literal('review.refused'),
  review: ulid,
  session,
  /** A code of docs/errors.md. */
  reason: z.string(),
});

/** Sums over all segments of a session. */
export const SessionTotals = z.object({
  segments: count,
  commands: count,
  bytes: count,
  rawBytes: count,
  redactions: count,
});
export type SessionTotals = z.infer<typeof SessionTotals>;

const SessionClosed = z.object({
  ...base,
  kind: z.literal('session.closed'),
  session,
  outcome: z.enum([
    'ended',
    'deadline',
    'killed',
    'access-ended',
    'disconnected',
    'target-unreachable',
    'relay-stopped',
    'evidence-failed',
    'masking-failed',
    'interrupted',
  ]),
  /** Null when nothing was recorded. */
  lastSegment: count.nullable(),
  totals: SessionTotals,
});

const SessionKilled = z.object({
  ...byPerson,
  kind: z.literal('session.killed'),
  session,
  /** The killer's login, whose key signed `request` (`SessionKillClaims`). */
  login,
  reason: z.string().nullable(),
  request: jws,
});

/** An operator ended a session at the relay's machine, without a login: there is no signature to check. */
const SessionKilledByOperator = z.object({
  ...base,
  kind: z.literal('session.killed-by-operator'),
  session,
  operator: OperatorAct,
});

const EvidenceRead = z.object({
  ...base,
  kind: z.literal('evidence.read'),
  action: z.enum(['sessions', 'show', 'export', 'replay', 'tail', 'files', 'unseal', 'search']),
  /** Null when more than one session was asked for. */
  session: session.nullable(),
  from: time.nullable(),
  to: time.nullable(),
  /** The other filters as asked. */
  filters: z.record(z.string(), z.string()),
  /** The reader's login, whose key signed `request` (`EvidenceReadClaims`); both absent in entries of earlier versions. */
  login: login.optional(),
  request: jws.optional(),
});

const LogKeyRotated = z.object({ ...base, ...logKeyRotated });

/** What could not be recorded, told as soon as it could be written. */
const Gap = z.object({
  ...base,
  kind: z.literal('gap'),
  /** Literal code of the cause. */
  reason: z.string(),
  session: session.nullable(),
  /** Entries that were refused. */
  count,
  from: time,
  to: time,
});

export const Entry = z.discriminatedUnion('kind', [
  RelayStarted,
  RelayRecovered,
  ConfigChanged,
  IssuerKeys,
  Login,
  AgentDelegated,
  LoginEnded,
  SessionOpened,
  Segment,
  CommandHeld,
  CommandBlocked,
  ReviewRequested,
  ReviewDecided,
  ReviewEnded,
  ReviewRefused,
  SessionClosed,
  SessionKilled,
  SessionKilledByOperator,
  EvidenceRead,
  LogKeyRotated,
  ...storageEntries,
  ...erasureEntries,
  ...originalsEntries,
  Gap,
]);
export type Entry = z.infer<typeof Entry>;
export type EntryKind = Entry['kind'];
export type EntryOf<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>;

const acts = [
  'session.opened',
  'session.killed',
  'review.decided',
  'agent.delegated',
  'evidence.read',
  'originals.resealed',
] as const;
/** What a person did and signed. `login` and `request` of a read are absent in entries of earlier versions. */
export type Act = EntryOf<(typeof acts)[number]>;
export const isAct = (entry: Entry): entry is Act => acts.some((kind) => kind === entry.kind);
/** The session that an act is about; null when it is about none, or about more than one. */
export const sessionOf = (act: Act): string | null => ('session' in act ? act.session : null);

type WithoutStamp<E> = E extends unknown ? Omit<E, 'v' | 'time'> : never;
/** An entry before the log adds `v` and `time`. */
export type UnstampedEntry = WithoutStamp<Entry>;
/** An entry as a program asks for it; the log itself writes of its keys. */
export type NewEntry = Exclude<UnstampedEntry, { kind: 'log.key-rotated' }>;

/** For entries that no person caused. */
export const relayActor: Actor = { kind: 'relay' };

/**
 * Checks an entry and writes its canonical form.
 * @throws EvidenceError `entry-invalid` when the format forbids it, or when it is longer than 65,535 bytes
 */
export function encodeEntry(entry: Entry): Buffer {
  const checked = Entry.safeParse(entry);
  if (!checked.success) {
    // Names of the fields only: their values may be what somebody typed.
    const fields = checked.error.issues.map((issue) => issue.path.join('.')).join(', ');
    throw new EvidenceError(
      'entry-invalid',
      `a ${entry.kind} entry has a value that is not allowed in: ${fields}`,
    );
  }
  let text: string;
  try {
    text = canonicalize(checked.data) ?? '';
  } catch (cause) {
    throw new EvidenceError('entry-invalid', `a ${entry.kind} entry has no canonical form`, { cause });
  }
  const bytes = Buffer.from(text);
  if (bytes.length > maxEntryBytes) {
    throw new EvidenceError(
      'entry-invalid',
      `a ${entry.kind} entry of ${bytes.length} bytes is longer than ${maxEntryBytes}`,
    );
  }
  return bytes;
}

/** What a leaf turned out to be. `unknown`: a kind or version of a later program; its digest still counts. */
export type DecodedEntry =
  | { readonly state: 'known'; readonly entry: Entry }
  | { readonly state: 'unknown'; readonly kind: string; readonly time: string }
  | { readonly state: 'malformed'; readonly reason: string };

const kinds: ReadonlySet<string> = new Set(Entry.options.map((option) => option.shape.kind.value));
const Stamp = z.object({ v: z.int().positive(), kind: z.string(), time });
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a leaf of any origin. */
export function decodeEntry(bytes: Uint8Array): DecodedEntry {
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return { state: 'malformed', reason: 'not JSON' };
  }
  if (!isCanonical(text, value)) return { state: 'malformed', reason: 'not in canonical form' };
  const entry = Entry.safeParse(value);
  if (entry.success) return { state: 'known', entry: entry.data };
  const stamp = Stamp.safeParse(value);
  if (stamp.success && (stamp.data.v > 1 || !kinds.has(stamp.data.kind)))
    return { state: 'unknown', kind: stamp.data.kind, time: stamp.data.time };
  const fields = entry.error.issues.map((issue) => issue.path.join('.') || 'kind').join(', ');
  return { state: 'malformed', reason: `a value that is not allowed in: ${fields}` };
}

/** RFC 8785 with the engine's own serializer, which differs only in the order of keys. */
function isCanonical(text: string, value: unknown): boolean {
  if (JSON.stringify(value) === text && keysInOrder(value)) return true;
  try {
    return canonicalize(value) === text;
  } catch {
    return false;
  }
}

function keysInOrder(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.every(keysInOrder);
  let before = '';
  for (const key of Object.keys(value)) {
    if (key < before) return false;
    before = key;
  }
  return Object.values(value).every(keysInOrder);
}
