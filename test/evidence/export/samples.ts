/** An event of every kind, and hostile texts in all of them. */
import type { EntryKind } from '../../../src/evidence/entry.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { ana, event, lea, robot } from '../report/events.ts';

type Kind = Exclude<EntryKind, 'segment'>;

const session = { session: '01JD0000000000000000000001', target: 'db-prod', task: 'T-1/a', reason: 'look, "now"', protocol: 'postgres' }; // prettier-ignore
const ulid = '01JD0000000000000000000002';
const entry = (
  more: Partial<EvidenceEvent>,
  details: Record<string, unknown> = {},
): Partial<EvidenceEvent> => ({
  logIndex: 7,
  ...more,
  details,
});
const stopped = {
  ...session,
  principal: ana,
  connection: 1,
  command: 2,
  text: 'delete from a',
  review: ulid,
};

/** What each kind may say; a kind without a sample does not compile. */
const entries: Readonly<Record<Kind, Partial<EvidenceEvent>>> = {
  'agent.delegated': entry(
    { principal: ana },
    { agent: { issuer: 'https://id.example', subject: 'robot' }, targets: ['db'], login: ulid },
  ),
  'break-glass.ended': entry({ outcome: 'expired' }, { breakGlass: ulid, sessions: 1 }),
  'break-glass.opened': entry({ reason: 'disk' }, { breakGlass: ulid, operator: 'root', people: [] }),
  'break-glass.used': entry({ ...session, principal: ana }, { breakGlass: ulid }),
  'command.blocked': entry(stopped),
  'command.held': entry(stopped),
  'config.changed': entry({}, { configDigest: '0'.repeat(64) }),
  'evidence.erased': entry({ session: session.session }, { what: 'recording', cause: 'retention' }),
  'hold.placed': entry({}, { hold: ulid, scope: { target: 'db-prod' } }),
  'hold.released': entry({}, { hold: ulid }),
  'evidence.read': entry({ principal: lea }, { action: 'export', filters: { person: 'ana' } }),
  gap: entry({ reason: 'write-failed' }, { count: 3 }),
  'issuer.keys': entry({}, { issuer: 'https://id.example', jwksDigest: '0'.repeat(64), jwks: { keys: [] } }),
  'log.key-rotated': entry({}, { from: 'a', to: 'b' }),
  login: entry({ principal: ana }, { login: ulid, method: 'device-code', groups: ['engineering'] }),
  'login.ended': entry({ reason: 'logout' }, { login: ulid }),
  'originals.resealed': entry({ session: session.session, principal: lea }, { segment: 0, recipients: [] }),
  'relay.recovered': entry({}, { sessions: [] }),
  'relay.started': entry({}, { version: '1' }),
  'review.decided': entry(
    { ...session, principal: lea, review: ulid, outcome: 'approved' },
    { decision: 'approve' },
  ),
  'review.ended': entry({ ...session, review: ulid, outcome: 'expired' }),
  'review.refused': entry({ ...session, principal: lea, review: ulid, reason: 'review-own' }),
  'review.requested': entry(
    { ...session, principal: ana, review: ulid },
    { needed: [{ group: 'leads', count: 1 }] },
  ),
  'session.closed': entry({ ...session, outcome: 'ended', redactions: 0 }),
  'session.killed': entry({ ...session, principal: lea }),
  'session.killed-by-operator': entry({ ...session }, { operator: { account: 'root' } }),
  'session.opened': entry({ ...session, principal: robot }, { login: ulid }),
  'storage.low': entry({}, { level: 'full', availableBytes: 1 }),
  'storage.recovered': entry({}, { availableBytes: 1 }),
};

const command: Partial<EvidenceEvent> = {
  ...session,
  principal: ana,
  connection: 1,
  command: 2,
  endedAt: '2026-11-21T12:00:09.250Z',
  durationMs: 4.25,
  text: 'select 1',
  outcome: 'succeeded',
  tag: 'SELECT 1',
  rows: 1,
  effects: ['read'],
};
const onServer = { ...command, protocol: 'ssh', tag: null, rows: null };

export const samples: readonly EvidenceEvent[] = [
  ...Object.entries(entries).map(([kind, more], at) => event(kind, at, more)),
  event('unreadable', 40, { ...session, principal: ana, details: { error: 'recording-damaged' } }),
  event('command', 41, command),
  event('command', 42, { ...command, outcome: 'failed', errorCode: '42P01' }),
  event('command', 43, { ...command, outcome: 'blocked', review: ulid }),
  event('command', 44, {
    ...command,
    outcome: 'unfinished',
    endedAt: null,
    durationMs: null,
    principal: robot,
  }),
  event('command', 45, {
    ...onServer,
    text: 'sudo ls',
    programs: ['sudo', 'ls'],
    outcome: 'failed',
    errorCode: '1',
  }),
  event('command', 46, {
    ...onServer,
    text: 'get /etc/passwd',
    paths: ['/', '/etc/', '/etc/passwd'],
    effects: ['file'],
  }),
  event('command', 47, { ...onServer, text: 'direct-tcpip db:5432', destinations: ['db:5432'] }),
  event('of a later version', 48, entry({ principal: ana }, { new: true })),
];

export const hostile = [
  '\n',
  '\r\n<13>1 - - - - - - forged',
  'a\u0000b',
  '\u2028\u2029\u0085',
  '\u001b[2Jcleared',
  '\u202eevil',
  '\ud800 lone',
  '"]\\',
  '|=\\|=',
  '=cmd()',
  '# ä 漢 😀',
  'x'.repeat(1 << 20),
  '😀'.repeat(20_000),
];
