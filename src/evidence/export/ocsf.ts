/**
 * Events as OCSF 1.6.0 (https://schema.ocsf.io/1.6.0). Which class a kind becomes is in `ocsf-classes.ts`; what OCSF has no
 * attribute for stands under `unmapped`, by the names of an event, so that nothing is lost.
 */
import { version } from '../../system/version.ts';
import type { EvidenceEvent } from '../read/event.ts';
import type { Who } from '../read/sessions.ts';
import { eventId } from './event-id.ts';
import { gravities, gravityOf } from './gravity.ts';
import { classOf, type OcsfClass } from './ocsf-classes.ts';

export const ocsfVersion = '1.6.0';

const product = { name: 'hoop', vendor_name: 'hoop', version };
/** Where commands reach a target from: nobody gets there but through the relay. */
const relay = { svc_name: 'hoop relay' };

const userTypes = { person: { type_id: 1, type: 'User' }, service: { type_id: 4, type: 'Service' }, agent: { type_id: 99, type: 'Agent' } }; // prettier-ignore

/** One object of class `class_uid`, without a newline. */
export function ocsfEvent(event: EvidenceEvent): string {
  const found = classOf(event);
  const { class: of, activity } = found;
  const attributes = of.attributes(event, common);
  return JSON.stringify({
    class_uid: of.uid,
    class_name: of.name,
    category_uid: Math.floor(of.uid / 1000),
    category_name: of.category,
    activity_id: activity.id,
    activity_name: activity.name,
    type_uid: of.uid * 100 + activity.id,
    type_name: `${of.name}: ${activity.name}`,
    time: Date.parse(event.time),
    severity_id: gravities.indexOf(gravityOf(event)) + 1,
    severity: capital(gravityOf(event)),
    message: messageOf(event),
    ...timesOf(event),
    ...statusOf(event),
    ...dispositionOf(event),
    metadata: metadataOf(event, of),
    ...attributes,
    unmapped: {
      ...unmappedOf(event),
      ...('actor' in attributes || 'user' in attributes ? {} : { principal: event.principal }),
    },
  });
}

const capital = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1)}`;

function metadataOf(event: EvidenceEvent, of: OcsfClass) {
  const { kind, task, time } = event;
  return {
    version: ocsfVersion,
    product,
    profiles: [...(controlled(event) === null ? [] : ['security_control']), ...of.profiles],
    uid: eventId(event),
    event_code: kind,
    log_name: 'hoop',
    original_time: time,
    ...(task !== null && { correlation_uid: task }),
  };
}

const messageOf = ({ kind, outcome, target }: EvidenceEvent): string =>
  [kind, outcome, target === null ? null : `at ${target}`].filter((part) => part !== null).join(' ');

const timesOf = ({ kind, time, endedAt, durationMs }: EvidenceEvent) =>
  kind !== 'command'
    ? {}
    : {
        start_time: Date.parse(time),
        ...(endedAt !== null && { end_time: Date.parse(endedAt) }),
        ...(durationMs !== null && { duration: Math.round(durationMs) }),
      };

const failures: ReadonlySet<string> = new Set([
  'failed',
  'blocked',
  'cancelled',
  'rejected',
  'evidence-failed',
  'masking-failed',
]);
const failedKinds: ReadonlySet<string> = new Set(['command.blocked', 'review.refused', 'gap', 'unreadable']);

function statusOf({ kind, outcome, errorCode, reason, tag }: EvidenceEvent) {
  const detail = reason ?? tag ?? outcome;
  const other = kind === 'command.held' || outcome === 'unfinished';
  const failed = failedKinds.has(kind) || (outcome !== null && failures.has(outcome));
  return {
    status_id: other ? 99 : failed ? 2 : 1,
    status: other ? (outcome ?? 'held') : failed ? 'Failure' : 'Success',
    ...(errorCode !== null && { status_code: errorCode }),
    ...(detail !== null && { status_detail: detail }),
  };
}

/** What the relay did about a command; null: the event is about none. */
function controlled({ kind, outcome, review }: EvidenceEvent) {
  if (kind === 'command.blocked' || (kind === 'command' && outcome === 'blocked'))
    return { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' };
  if (kind === 'command.held')
    return { action_id: 99, action: 'held', disposition_id: 14, disposition: 'Delayed' };
  if (kind !== 'command') return null;
  return review === null
    ? { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' }
    : { action_id: 1, action: 'Allowed', disposition_id: 8, disposition: 'Approved' };
}

const dispositionOf = (event: EvidenceEvent) => controlled(event) ?? {};

const own: ReadonlySet<string> = new Set(['time', 'kind', 'principal', 'endedAt', 'durationMs', 'outcome', 'errorCode', 'text']); // prettier-ignore

/** Everything that was given and has no place of its own; texts also in full, since a class may not take one. */
function unmappedOf(event: EvidenceEvent): Record<string, unknown> {
  const given = Object.entries(event).filter(([name, value]) => value !== null && !own.has(name));
  const { text, principal } = event;
  const { actsFor } = principal ?? {};
  return { ...Object.fromEntries(given), ...(text !== null && { text }), ...(actsFor && { actsFor }) };
}

/** Objects that classes share. */
export const common = {
  relay,
  product,
  user: ({ kind, issuer, subject, email, groups }: Who) => ({
    ...userTypes[kind],
    uid: subject,
    name: email ?? subject,
    domain: issuer,
    ...(email !== null && { email_addr: email }),
    groups: groups.map((name) => ({ name })),
  }),
  /** The relay itself is an application. */
  actor: ({ principal, session }: EvidenceEvent) => ({
    ...(principal === null ? { app_name: 'hoop' } : { user: common.user(principal) }),
    ...(session !== null && { session: { uid: session, is_remote: true } }),
  }),
  target: ({ target }: EvidenceEvent): string => target ?? 'unknown',
};
export type Common = typeof common;
export type { OcsfClass };
