/** Events as readers make them, for tests of what is made from events. */
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import type { Who } from '../../../src/evidence/read/sessions.ts';

const who = (subject: string, more: Partial<Who> = {}): Who => ({
  kind: 'person',
  issuer: 'https://id.example',
  subject,
  email: `${subject}@example.com`,
  groups: [],
  actsFor: null,
  ...more,
});

export const ana = who('ana');
export const lea = who('lea');
/** Acts on Ana's behalf. */
export const robot = who('robot', {
  kind: 'agent',
  email: null,
  actsFor: { issuer: 'https://id.example', subject: 'ana', email: 'ana@example.com' },
});

export const noEvent: EvidenceEvent = {
  time: '2026-11-21T12:00:00.000Z',
  kind: 'command',
  logIndex: null,
  principal: null,
  session: null,
  target: null,
  task: null,
  reason: null,
  connection: null,
  command: null,
  endedAt: null,
  durationMs: null,
  text: null,
  textBytes: null,
  parameters: null,
  outcome: null,
  tag: null,
  rows: null,
  errorCode: null,
  effects: null,
  relations: null,
  functions: null,
  review: null,
  redactions: null,
  details: null,
  programs: null,
  paths: null,
  destinations: null,
  parent: null,
  how: null,
  protocol: null,
};

/** @param second of the day's twelfth hour */
export const event = (kind: string, second: number, more: Partial<EvidenceEvent> = {}): EvidenceEvent => ({
  ...noEvent,
  kind,
  time: new Date(Date.UTC(2026, 10, 21, 12, 0, second)).toISOString(),
  ...more,
});

const s1 = { session: '01JD0000000000000000000001', target: 'db-prod', task: 'move', principal: ana };
const s2 = { session: '01JD0000000000000000000002', target: 'server', task: 'move/copy', principal: robot };
const s3 = { session: '01JD0000000000000000000003', target: 'db-prod', task: null, principal: lea };
const review = '01JD0000000000000000000009';
const command = (
  number: number,
  second: number,
  of: Partial<EvidenceEvent>,
  more: Partial<EvidenceEvent> = {},
): EvidenceEvent =>
  event('command', second, {
    ...of,
    connection: 1,
    command: number,
    outcome: 'succeeded',
    tag: 'SELECT 1',
    effects: ['read'],
    redactions: 0,
    ...more,
  });

/** Ana's session with a reviewed delete, her agent's in a sub-task, Lea's without a task, which is killed. */
export const history: readonly EvidenceEvent[] = [
  event('relay.started', 0, { logIndex: 0, details: {} }),
  event('login', 1, { logIndex: 1, principal: ana, details: {} }),
  event('session.opened', 2, { ...s1, logIndex: 2, reason: 'ticket 7', details: { protocol: 'postgres' } }),
  command(1, 3, s1, { text: 'select 1' }),
  event('session.opened', 4, { ...s2, logIndex: 3, details: { protocol: 'ssh' } }),
  command(2, 5, s1, { text: 'delete from t', effects: ['delete', 'unbounded'], review, redactions: 2 }),
  event('command.held', 5, { ...s1, logIndex: 4, review, connection: 1, command: 2, text: 'delete from t' }),
  event('review.requested', 5, {
    ...s1,
    logIndex: 5,
    review,
    effects: ['delete'],
    details: { needed: [{ group: 'leads', count: 1 }] },
  }),
  command(1, 6, s2, {
    text: 'cp a b',
    effects: ['file'],
    tag: 'exit 0',
    outcome: 'failed',
    errorCode: 'exit 1',
  }),
  event('review.decided', 25, {
    ...s1,
    principal: lea,
    logIndex: 6,
    review,
    reason: 'agreed',
    outcome: 'approved',
    details: { decision: 'approve', groups: ['leads'] },
  }),
  event('session.opened', 30, { ...s3, logIndex: 7, details: { protocol: 'postgres' } }),
  event('command.blocked', 31, {
    ...s3,
    logIndex: 8,
    connection: 1,
    command: 1,
    text: 'drop\n table t',
    details: { policies: ['no-drops'] },
  }),
  command(1, 31, s3, { text: 'drop table t', outcome: 'blocked', tag: null, effects: ['schema'] }),
  event('session.killed', 40, { ...s3, principal: ana, logIndex: 9, reason: 'enough' }),
  event('session.closed', 41, { ...s3, principal: null, logIndex: 10, outcome: 'killed', redactions: 0 }),
  event('gap', 42, { logIndex: 11, reason: 'ENOSPC', details: { count: 3 } }),
  event('session.closed', 50, { ...s1, principal: null, logIndex: 12, outcome: 'ended', redactions: 2 }),
];
