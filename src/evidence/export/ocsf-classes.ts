/** Classes of OCSF 1.6.0 that events become. Captions and numbers are the schema's (https://schema.ocsf.io/1.6.0/classes). */
import type { EntryKind } from '../entry.ts';
import type { EvidenceEvent } from '../read/event.ts';
import type { Common } from './ocsf.ts';

export interface OcsfClass {
  readonly uid: number;
  readonly name: string;
  readonly category: string;
  readonly activities: Readonly<Record<string, number>>;
  /** That its attributes are of. */
  readonly profiles: readonly string[];
  /** It has an `actor`, before its attributes. */
  readonly hasActor: boolean;
  /** Those that the class requires, and those that tell most. */
  attributes(event: EvidenceEvent, common: Common): object;
}

const system = 'System Activity';
const iam = 'Identity & Access Management';
const application = 'Application Activity';
const other = { Other: 99 };

/** A detail of the event as text; undefined: it is none. */
function detail({ details }: EvidenceEvent, name: string): string | undefined {
  const value = details?.[name];
  return typeof value === 'string' ? value : undefined;
}

const deviceOf = (event: EvidenceEvent, { target }: Common) => ({
  type_id: 1,
  type: 'Server',
  hostname: target(event),
});

export const classes = {
  fileActivity: {
    uid: 1001,
    name: 'File System Activity',
    category: system,
    activities: {
      Create: 1,
      Read: 2,
      Update: 3,
      Delete: 4,
      Rename: 5,
      'Set Attributes': 6,
      'Get Attributes': 8,
      Open: 14,
      ...other,
    },
    profiles: [],
    hasActor: true,
    attributes: (event, common) => {
      const path = event.paths?.findLast((given) => !given.endsWith('/')) ?? event.paths?.at(-1) ?? '/';
      const name = path.split('/').findLast((part) => part !== '') ?? '/';
      return {
        device: deviceOf(event, common),
        file: { type_id: 0, name, path },
      };
    },
  },
  processActivity: {
    uid: 1007,
    name: 'Process Activity',
    category: system,
    activities: { Launch: 1, ...other },
    profiles: [],
    hasActor: true,
    attributes: (event, common) => ({
      device: deviceOf(event, common),
      process: {
        // The server's own number is not known: it is the command's in the record.
        uid: `${event.session}/${event.connection}/${event.command}`,
        cmd_line: event.text ?? '',
        ...(event.programs?.[0] !== undefined && { name: event.programs[0] }),
      },
    }),
  },
  eventLogActivity: {
    uid: 1008,
    name: 'Event Log Activity',
    category: system,
    activities: { Delete: 2, Export: 3, Rotate: 5, ...other },
    profiles: [],
    hasActor: true,
    attributes: () => ({ log_name: 'hoop', log_type_id: 2, log_type: 'Application' }),
  },
  authentication: {
    uid: 3002,
    name: 'Authentication',
    category: iam,
    activities: { Logon: 1, Logoff: 2 },
    profiles: [],
    hasActor: false,
    attributes: (event, common) => ({
      // Who the sign-in was of stands in the entry that began it.
      user:
        event.principal === null
          ? { type_id: 0, uid: detail(event, 'login') ?? 'unknown' }
          : common.user(event.principal),
      session: {
        uid: detail(event, 'login') ?? 'unknown',
        ...(event.principal && { issuer: event.principal.issuer }),
      },
      service: { name: 'hoop' },
      is_remote: true,
    }),
  },
  entityManagement: {
    uid: 3004,
    name: 'Entity Management',
    category: iam,
    activities: { Create: 1, Update: 3, Activate: 10, Deactivate: 11, ...other },
    profiles: [],
    hasActor: true,
    attributes: (event) => ({ entity: entityOf(event) }),
  },
  userAccess: {
    uid: 3005,
    name: 'User Access Management',
    category: iam,
    activities: { 'Assign Privileges': 1 },
    profiles: [],
    hasActor: true,
    attributes: (event) => {
      const agent = event.details?.['agent'] as
        { readonly subject?: string; readonly issuer?: string } | undefined;
      const targets = event.details?.['targets'];
      return {
        user: { type_id: 99, type: 'Agent', uid: agent?.subject ?? 'unknown', domain: agent?.issuer },
        privileges: Array.isArray(targets) ? targets.map(String) : ['every target of the person'],
      };
    },
  },
  networkActivity: {
    uid: 4001,
    name: 'Network Activity',
    category: 'Network Activity',
    activities: { Open: 1, Close: 2, Reset: 3 },
    profiles: ['host'],
    hasActor: true,
    attributes: (event, common) => ({
      src_endpoint: common.relay,
      dst_endpoint: destinationOf(event) ?? { name: common.target(event) },
      connection_info: { direction_id: 2, direction: 'Outbound', protocol_num: 6, protocol_name: 'tcp' },
      ...(event.protocol !== null && { app_name: event.protocol }),
    }),
  },
  applicationLifecycle: {
    uid: 6002,
    name: 'Application Lifecycle',
    category: application,
    activities: { Start: 3, Restart: 5, Update: 8, ...other },
    profiles: [],
    hasActor: false,
    attributes: (_event, common) => ({ app: common.product }),
  },
  datastoreActivity: {
    uid: 6005,
    name: 'Datastore Activity',
    category: application,
    activities: { Query: 4 },
    profiles: [],
    hasActor: true,
    attributes: (event, common) => ({
      src_endpoint: common.relay,
      dst_endpoint: { name: common.target(event) },
      type_id: 1,
      type: 'Database',
      database: { type_id: 1, type: 'Relational', name: common.target(event) },
      query_info: {
        uid: `${event.session}/${event.connection}/${event.command}`,
        query_string: event.text ?? '',
      },
    }),
  },
  applicationError: {
    uid: 6008,
    name: 'Application Error',
    category: application,
    activities: { 'General Error': 1 },
    profiles: [],
    hasActor: false,
    attributes: () => ({}),
  },
  base: {
    uid: 0,
    name: 'Base Event',
    category: 'Uncategorized',
    activities: other,
    profiles: [],
    hasActor: false,
    attributes: () => ({}),
  },
} as const satisfies Readonly<Record<string, OcsfClass>>;

function destinationOf({ destinations }: EvidenceEvent) {
  const match = /^(.+):(\d+)$/.exec(destinations?.[0] ?? '');
  return match === null ? null : { name: match[1]!, port: Number(match[2]) };
}

function entityOf(event: EvidenceEvent) {
  const { kind, review } = event;
  if (kind === 'issuer.keys') return { type_id: 99, type: 'JWKS', name: detail(event, 'issuer') ?? 'unknown', uid: detail(event, 'jwksDigest') }; // prettier-ignore
  if (kind.startsWith('break-glass.')) return { type_id: 99, type: 'break-glass', uid: detail(event, 'breakGlass') ?? 'unknown' }; // prettier-ignore
  if (kind.startsWith('hold.')) return { type_id: 99, type: 'hold', uid: detail(event, 'hold') ?? 'unknown' };
  return { type_id: 99, type: 'review', uid: review ?? 'unknown' };
}

export interface OcsfActivity {
  readonly name: string;
  readonly id: number;
}

interface Found {
  readonly class: OcsfClass;
  readonly activity: OcsfActivity;
}

type ClassName = keyof typeof classes;
type Choice = { [Name in ClassName]: readonly [Name, keyof (typeof classes)[Name]['activities']] }[ClassName];

const byKind: Readonly<
  Record<Exclude<EntryKind, 'segment' | 'command.held' | 'command.blocked'> | 'unreadable', Choice>
> = {
  'agent.delegated': ['userAccess', 'Assign Privileges'],
  'break-glass.ended': ['entityManagement', 'Deactivate'],
  'break-glass.opened': ['entityManagement', 'Activate'],
  'break-glass.used': ['entityManagement', 'Other'],
  'config.changed': ['applicationLifecycle', 'Update'],
  'evidence.erased': ['eventLogActivity', 'Delete'],
  'evidence.read': ['eventLogActivity', 'Export'],
  gap: ['eventLogActivity', 'Other'],
  'hold.placed': ['entityManagement', 'Activate'],
  'hold.released': ['entityManagement', 'Deactivate'],
  'issuer.keys': ['entityManagement', 'Update'],
  'log.key-rotated': ['eventLogActivity', 'Other'],
  login: ['authentication', 'Logon'],
  'login.ended': ['authentication', 'Logoff'],
  'originals.resealed': ['eventLogActivity', 'Other'],
  'relay.recovered': ['applicationLifecycle', 'Restart'],
  'relay.started': ['applicationLifecycle', 'Start'],
  'review.decided': ['entityManagement', 'Update'],
  'review.ended': ['entityManagement', 'Deactivate'],
  'review.refused': ['entityManagement', 'Update'],
  'review.requested': ['entityManagement', 'Create'],
  'session.closed': ['networkActivity', 'Close'],
  'session.killed': ['networkActivity', 'Reset'],
  'session.killed-by-operator': ['networkActivity', 'Reset'],
  'session.opened': ['networkActivity', 'Open'],
  'storage.low': ['applicationError', 'General Error'],
  'storage.recovered': ['applicationLifecycle', 'Other'],
  unreadable: ['eventLogActivity', 'Other'],
};

/** First words of what passes by sftp and scp (`protocols/ssh/sftp/operations.ts`). */
const fileActivities: Readonly<Record<string, keyof (typeof classes)['fileActivity']['activities']>> = {
  copy: 'Create',
  get: 'Read',
  hardlink: 'Create',
  list: 'Read',
  mkdir: 'Create',
  open: 'Open',
  put: 'Update',
  remove: 'Delete',
  rename: 'Rename',
  rmdir: 'Delete',
  setstat: 'Set Attributes',
  stat: 'Get Attributes',
  symlink: 'Create',
};

/** A kind that this version does not know is a Base Event, told in full under `unmapped`. */
export function classOf(event: EvidenceEvent): Found {
  const [name, activity] = event.command === null ? choice(event.kind) : commandChoice(event);
  const found: OcsfClass = classes[name];
  return { class: found, activity: { name: activity, id: found.activities[activity]! } };
}

const choice = (kind: string): Choice =>
  Object.hasOwn(byKind, kind) ? byKind[kind as keyof typeof byKind] : ['base', 'Other'];

function commandChoice({ protocol, destinations, programs, paths, text }: EvidenceEvent): Choice {
  if (protocol !== 'ssh') return ['datastoreActivity', 'Query'];
  if (destinations !== null && destinations.length > 0) return ['networkActivity', 'Open'];
  const isFile = (programs ?? []).length === 0 && (paths ?? []).length > 0;
  if (!isFile) return ['processActivity', 'Launch'];
  return ['fileActivity', fileActivities[/^\w+/.exec(text ?? '')?.[0] ?? ''] ?? 'Other'];
}
