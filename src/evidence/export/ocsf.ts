/**
 * Events as OCSF 1.6.0 (https://schema.ocsf.io/1.6.0). Which class a kind becomes is in `ocsf-classes.ts`; what OCSF has no
 * attribute for stands under `unmapped`, by the names of an event, so that nothing is lost.
 */
import { version } from '../../system/version.ts';
import type { EvidenceEvent } from '../read/event.ts';
import type { Who } from '../read/sessions.ts';
import { eventId } from './event-id.ts';
import { gravities, gravityOf, type Gravity } from './gravity.ts';
import { classOf, type OcsfActivity, type OcsfClass } from './ocsf-classes.ts';

export const ocsfVersion = '1.6.0';

const product = { name: 'hoop', vendor_name: 'hoop', version };
/** Where commands reach a target from: nobody gets there but through the relay. */
const relay = { svc_name: 'hoop relay' };

const userTypes = { person: { type_id: 1, type: 'User' }, service: { type_id: 4, type: 'Service' }, agent: { type_id: 99, type: 'Agent' } }; // prettier-ignore

/**
 * One object of class `class_uid`, without a newline. It is put together from the texts of its members: those that very many events
 * have in common are made once.
 */
export function ocsfEvent(event: EvidenceEvent): string {
  const { class: of, activity } = classOf(event);
  const attributes = of.attributes(event, common);
  const unmapped = unmappedOf(event, !(of.hasActor || 'user' in attributes));
  const control = controlOf(event);
  let text = `{${headOf(of, activity)},"time":${msText(event.time)},${severities[gravityOf(event)]}`;
  text += `,"message":${json(messageOf(event))}${timesOf(event)}${statusOf(event)}`;
  if (control !== null) text += `,${control}`;
  text += `,"metadata":${metadataOf(event, control === null ? of.profiles : ['security_control', ...of.profiles])}`;
  if (of.hasActor) text += `,"actor":${actorOf(event)}`;
  text += `${behind(attributes)},"unmapped":${json(unmapped)}}`;
  return text;
}

const json = (value: unknown): string => JSON.stringify(value);
/** Members of an object behind others. */
const behind = (members: object): string => {
  const text = json(members);
  return text === '{}' ? '' : `,${text.slice(1, -1)}`;
};
/** Members without what is around them. */
const inner = (members: object): string => json(members).slice(1, -1);
/** The last one that was asked for. */
let lastTime = { time: '', ms: 'null' };

/** JSON has no number for a time that is none. */
function msText(time: string): string {
  if (time !== lastTime.time) lastTime = { time, ms: json(Date.parse(time)) };
  return lastTime.ms;
}

const heads = new Map<number, string>();

function headOf({ uid, name, category }: OcsfClass, activity: OcsfActivity): string {
  const typeUid = uid * 100 + activity.id;
  let head = heads.get(typeUid);
  if (head === undefined) {
    head = inner({
      class_uid: uid,
      class_name: name,
      category_uid: Math.floor(uid / 1000),
      category_name: category,
      activity_id: activity.id,
      activity_name: activity.name,
      type_uid: typeUid,
      type_name: `${name}: ${activity.name}`,
    });
    heads.set(typeUid, head);
  }
  return head;
}

const severityOf = (gravity: Gravity): string =>
  inner({
    severity_id: gravities.indexOf(gravity) + 1,
    severity: `${gravity[0]!.toUpperCase()}${gravity.slice(1)}`,
  });
const severities: Readonly<Record<Gravity, string>> = {
  informational: severityOf('informational'),
  low: severityOf('low'),
  medium: severityOf('medium'),
  high: severityOf('high'),
  critical: severityOf('critical'),
};

/** By who it is: nearly always the same session again. */
const actors = new WeakMap<Who, { readonly session: string | null; readonly text: string }>();

/** The relay itself is an application. */
function actorOf({ principal, session }: EvidenceEvent): string {
  const known = principal === null ? undefined : actors.get(principal);
  if (known?.session === session) return known.text;
  const text = json({
    ...(principal === null ? { app_name: 'hoop' } : { user: common.user(principal) }),
    ...(session !== null && { session: { uid: session, is_remote: true } }),
  });
  if (principal !== null) actors.set(principal, { session, text });
  return text;
}

const metadataHead = inner({ version: ocsfVersion, product });

function metadataOf(event: EvidenceEvent, profiles: readonly string[]): string {
  const { kind, task, time } = event;
  const correlation = task === null ? '' : `,"correlation_uid":${json(task)}`;
  return (
    `{${metadataHead},"profiles":${json(profiles)},"uid":${json(eventId(event))},"event_code":${json(kind)},` +
    `"log_name":"hoop","original_time":${json(time)}${correlation}}`
  );
}

function messageOf({ kind, outcome, target }: EvidenceEvent): string {
  const what = outcome === null ? kind : `${kind} ${outcome}`;
  return target === null ? what : `${what} at ${target}`;
}

function timesOf({ kind, time, endedAt, durationMs }: EvidenceEvent): string {
  if (kind !== 'command') return '';
  const end = endedAt === null ? '' : `,"end_time":${msText(endedAt)}`;
  const duration = durationMs === null ? '' : `,"duration":${json(Math.round(durationMs))}`;
  return `,"start_time":${msText(time)}${end}${duration}`;
}

const failures: ReadonlySet<string> = new Set([
  'failed',
  'blocked',
  'cancelled',
  'rejected',
  'evidence-failed',
  'masking-failed',
]);
const failedKinds: ReadonlySet<string> = new Set(['command.blocked', 'review.refused', 'gap', 'unreadable']);

function statusOf({ kind, outcome, errorCode, reason, tag }: EvidenceEvent): string {
  const detail = reason ?? tag ?? outcome;
  const failed = failedKinds.has(kind) || (outcome !== null && failures.has(outcome));
  let text = failed ? ',"status_id":2,"status":"Failure"' : ',"status_id":1,"status":"Success"';
  if (kind === 'command.held' || outcome === 'unfinished')
    text = `,"status_id":99,"status":${json(outcome ?? 'held')}`;
  if (errorCode !== null) text += `,"status_code":${json(errorCode)}`;
  if (detail !== null) text += `,"status_detail":${json(detail)}`;
  return text;
}

const denied = inner({ action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' });
const held = inner({ action_id: 99, action: 'held', disposition_id: 14, disposition: 'Delayed' });
const allowed = inner({ action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' });
const approved = inner({ action_id: 1, action: 'Allowed', disposition_id: 8, disposition: 'Approved' });

/** What the relay did about a command; null: the event is about none. */
function controlOf({ kind, outcome, review }: EvidenceEvent): string | null {
  if (kind === 'command.blocked' || (kind === 'command' && outcome === 'blocked')) return denied;
  if (kind === 'command.held') return held;
  if (kind !== 'command') return null;
  return review === null ? allowed : approved;
}

/** Everything that was given and has no place of its own; texts also in full, since a class may not take one. */
const unmappedOf = (event: EvidenceEvent, withPrincipal: boolean) => ({
  logIndex: event.logIndex ?? undefined,
  session: event.session ?? undefined,
  target: event.target ?? undefined,
  task: event.task ?? undefined,
  reason: event.reason ?? undefined,
  connection: event.connection ?? undefined,
  command: event.command ?? undefined,
  textBytes: event.textBytes ?? undefined,
  parameters: event.parameters ?? undefined,
  tag: event.tag ?? undefined,
  rows: event.rows ?? undefined,
  effects: event.effects ?? undefined,
  relations: event.relations ?? undefined,
  functions: event.functions ?? undefined,
  review: event.review ?? undefined,
  redactions: event.redactions ?? undefined,
  details: event.details ?? undefined,
  programs: event.programs ?? undefined,
  paths: event.paths ?? undefined,
  destinations: event.destinations ?? undefined,
  parent: event.parent ?? undefined,
  how: event.how ?? undefined,
  protocol: event.protocol ?? undefined,
  text: event.text ?? undefined,
  actsFor: event.principal?.actsFor ?? undefined,
  principal: withPrincipal ? event.principal : undefined,
});

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
  target: ({ target }: EvidenceEvent): string => target ?? 'unknown',
};
export type Common = typeof common;
