/**
 * Which controls of NIST SP 800-53 Rev. 5 (https://doi.org/10.6028/NIST.SP.800-53r5) the record bears on: what each asks, in
 * short; which records show it; and what they do not show. A table, so that an auditor can read and dispute it line by line.
 *
 * Records are evidence for an assessment, not the assessment: nothing here says that a control is satisfied.
 */
import type { EntryKind } from '../entry.ts';
import type { EvidenceEvent } from '../read/event.ts';
import type { ProofName } from './proofs.ts';

type EventKind = Exclude<EntryKind, 'segment'> | 'command' | 'unreadable';

export interface RecordClass {
  /** What a record of this class shows. */
  readonly shows: string;
  readonly kinds: readonly EventKind[];
  /** Which of them; absent: all. */
  readonly only?: (event: EvidenceEvent) => boolean;
}

export interface ControlDefinition {
  readonly id: string;
  readonly title: string;
  readonly asks: string;
  readonly records: readonly RecordClass[];
  /** What verification adds. */
  readonly proofs: readonly ProofName[];
  readonly notShown: readonly string[];
}

const does =
  (...effects: readonly string[]) =>
  (event: EvidenceEvent): boolean =>
    event.effects?.some((effect) => effects.includes(effect)) === true;
/** Commands that went to the target and do one of these. */
const ran = (...effects: readonly string[]) => {
  const any = does(...effects);
  return (event: EvidenceEvent): boolean => event.outcome !== 'blocked' && any(event);
};
const endedBy =
  (...outcomes: readonly string[]) =>
  ({ outcome }: EvidenceEvent): boolean =>
    outcome !== null && outcomes.includes(outcome);
const changing = ['write', 'delete', 'unbounded', 'schema', 'privilege'];
const opaque = ['code', 'file', 'system', 'shell', 'unknown', 'copy', 'network'];

const accountManagement: ControlDefinition = {
  id: 'AC-2',
  title: 'Account Management',
  asks: 'Accounts and their use are managed and monitored; access ends when it is no longer needed.',
  records: [
    { shows: 'use of an account: who signed in, how it was proven, in which groups', kinds: ['login'] },
    {
      shows: 'sign-ins that ended: logout, expiry, revocation, removal of the person',
      kinds: ['login.ended'],
    },
    {
      shows: 'a person let an agent act for them: for which targets and task, until when',
      kinds: ['agent.delegated'],
    },
    {
      shows: 'sessions that ended because the access did',
      kinds: ['session.closed'],
      only: endedBy('access-ended', 'deadline'),
    },
  ],
  proofs: [],
  notShown: [
    'Creation, change and approval of accounts: they are the identity provider’s, or made at the relay’s machine with hoop admin, which leaves no entry.',
    'Sign-ins that failed: the identity provider has those.',
    'That accounts and groups were reviewed at the intervals that your policy sets.',
  ],
};

const accessEnforcement: ControlDefinition = {
  id: 'AC-3',
  title: 'Access Enforcement',
  asks: 'Approved authorisations are enforced at each access.',
  records: [
    { shows: 'sessions that policy permitted, with the ids of the policies', kinds: ['session.opened'] },
    { shows: 'commands that policy stopped, with the ids of the policies', kinds: ['command.blocked'] },
    { shows: 'commands that policy held until people decided', kinds: ['command.held'] },
    { shows: 'decisions of reviewers, each signed over exactly the command', kinds: ['review.decided'] },
    { shows: 'reviews that ended without a decision: the command did not go', kinds: ['review.ended'] },
    { shows: 'attempts to decide that were refused', kinds: ['review.refused'] },
    { shows: 'sessions that somebody with the right to ended', kinds: ['session.killed'] },
    {
      shows: 'sessions that an operator ended at the relay’s machine, with the account and the reason',
      kinds: ['session.killed-by-operator'],
    },
  ],
  proofs: ['reviews'],
  notShown: [
    'The text of the policies: entries name them by id, and the configuration by digest.',
    'Sessions that were refused before they were opened: they leave no entry.',
    'Access to a target that does not go through the relay.',
    'What the target itself permits the account that the relay uses there.',
  ],
};

const leastPrivilege: ControlDefinition = {
  id: 'AC-6',
  title: 'Least Privilege',
  asks: 'Only the access that a task needs; use of privileged functions is logged (AC-6(9)).',
  records: [
    { shows: 'commands that change data, schema or privileges', kinds: ['command'], only: ran(...changing) },
    {
      shows: 'commands that change roles, grants or ownership',
      kinds: ['command'],
      only: ran('privilege'),
    },
    {
      shows: 'commands that run code, shells or programs, move files, or could not be seen through',
      kinds: ['command'],
      only: ran(...opaque),
    },
    {
      shows: 'commands that went by a review of other people',
      kinds: ['command'],
      only: ({ review, outcome }) => review !== null && outcome !== 'blocked',
    },
    { shows: 'commands that policy stopped', kinds: ['command.blocked'] },
    {
      shows: 'sessions in which rules of masking did not hold for the person',
      kinds: ['session.opened'],
      only: ({ details }) => details?.['exemptions'] !== undefined,
    },
    { shows: 'sessions, each with the deadline at which it ends', kinds: ['session.opened'] },
  ],
  proofs: [],
  notShown: [
    'That the policies grant no more than people need: compare what is granted with what was used.',
    'Privileges at the target of the account that the relay uses there.',
    'What triggers, functions and programs did at the target beyond the command itself.',
  ],
};

const eventLogging: ControlDefinition = {
  id: 'AU-2',
  title: 'Event Logging',
  asks: 'The kinds of events that are logged are identified, and suffice for investigations after the fact.',
  records: [
    { shows: 'sign-ins and their end', kinds: ['login', 'login.ended', 'agent.delegated'] },
    {
      shows: 'sessions and their end',
      kinds: ['session.opened', 'session.closed', 'session.killed', 'session.killed-by-operator'],
    },
    { shows: 'commands, all of them', kinds: ['command'] },
    { shows: 'what policy stopped or held', kinds: ['command.blocked', 'command.held'] },
    {
      shows: 'reviews and their decisions',
      kinds: ['review.requested', 'review.decided', 'review.ended', 'review.refused'],
    },
    { shows: 'reads of the record itself', kinds: ['evidence.read'] },
    {
      shows: 'the relay’s own starts, recoveries, configurations and keys',
      kinds: ['relay.started', 'relay.recovered', 'config.changed', 'log.key-rotated', 'issuer.keys'],
    },
    {
      shows: 'room for the record that ran short, and people who were let in meanwhile',
      kinds: [
        'storage.low',
        'storage.recovered',
        'break-glass.opened',
        'break-glass.used',
        'break-glass.ended',
      ],
    },
  ],
  proofs: ['entries'],
  notShown: [
    'Refused sessions, failed sign-ins and changes of accounts: they leave no entry in this log.',
    'What happens at a target without the relay.',
    'Why these kinds suffice for you, and that somebody reviews the choice: that is for your policy to say.',
  ],
};

const recordContent: ControlDefinition = {
  id: 'AU-3',
  title: 'Content of Audit Records',
  asks: 'Records say what happened, when, where, from which source, with which outcome, and who did it.',
  records: [
    {
      shows: 'commands with person, target, time, text and outcome',
      kinds: ['command'],
      only: ({ outcome, principal }) => principal !== null && outcome !== null && outcome !== 'unfinished',
    },
    {
      shows: 'commands whose outcome is not known: nobody told how they ended',
      kinds: ['command'],
      only: endedBy('unfinished', 'unknown'),
    },
    {
      shows: 'lines of shells that were read off the screen: what was seen, not surely what ran',
      kinds: ['command'],
      only: ({ how }) => how === 'reconstructed',
    },
    {
      shows: 'sessions with the reason or the task that the person gave',
      kinds: ['session.opened'],
      only: ({ reason, task }) => reason !== null || task !== null,
    },
    {
      shows: 'acts of an agent, with the person on whose behalf it acted',
      kinds: ['session.opened', 'command'],
      only: ({ principal }) => principal?.actsFor != null,
    },
    {
      shows: 'commands in which values were masked; the originals are sealed to the auditors',
      kinds: ['command'],
      only: ({ redactions }) => (redactions ?? 0) > 0,
    },
    { shows: 'recordings that do not parse from some point on', kinds: ['unreadable'] },
  ],
  proofs: [],
  notShown: [
    'The network address that the person came from: policies see it, entries do not name it.',
    'What the target changed besides the result that the client got.',
  ],
};

const recordReview: ControlDefinition = {
  id: 'AU-6',
  title: 'Audit Record Review, Analysis, and Reporting',
  asks: 'Audit records are reviewed and analysed, and findings are reported.',
  records: [
    {
      shows: 'reads of the record: lists, exports, replays, watching; each signed by its reader',
      kinds: ['evidence.read'],
      only: ({ details }) => details?.['action'] !== 'unseal' && details?.['action'] !== 'files',
    },
    {
      shows: 'files of the record that were fetched, to verify or to keep them',
      kinds: ['evidence.read'],
      only: ({ details }) => details?.['action'] === 'files',
    },
    {
      shows: 'originals of masked values that were fetched to unseal them',
      kinds: ['evidence.read'],
      only: ({ details }) => details?.['action'] === 'unseal',
    },
  ],
  proofs: ['verified'],
  notShown: [
    'What the reader concluded, whom they told, and what was done: keep that where you keep your reviews.',
    'Reads of copies: an export that was handed on, or the relay’s own disk.',
  ],
};

const recordProtection: ControlDefinition = {
  id: 'AU-9',
  title: 'Protection of Audit Information',
  asks: 'Audit records are protected from change, deletion and unauthorised reading.',
  records: [
    { shows: 'who read the record', kinds: ['evidence.read'] },
    { shows: 'recordings and originals that were erased, by rule or on request', kinds: ['evidence.erased'] },
    { shows: 'originals that were sealed to other auditors, signed', kinds: ['originals.resealed'] },
    { shows: 'holds that forbid erasing', kinds: ['hold.placed', 'hold.released'] },
    { shows: 'hand-overs of the key that signs the log', kinds: ['log.key-rotated'] },
    { shows: 'what could not be recorded, told afterwards', kinds: ['gap'] },
    { shows: 'recovery after the relay was killed', kinds: ['relay.recovered'] },
  ],
  proofs: ['verified', 'checkpoint', 'segments', 'witnesses'],
  notShown: [
    'A log that was rolled back to an earlier state of its own, without a checkpoint that was kept (--since) or a witness.',
    'Who can read or delete the files at the relay’s machine and at the archive.',
    'Backups, and that they can be restored.',
  ],
};

const nonRepudiation: ControlDefinition = {
  id: 'AU-10',
  title: 'Non-repudiation',
  asks: 'There is irrefutable evidence that a person, or a process for them, did something.',
  records: [
    { shows: 'sessions that were opened by a signed request', kinds: ['session.opened'] },
    { shows: 'decisions of reviewers, signed', kinds: ['review.decided'] },
    { shows: 'sessions that were ended by a signed request', kinds: ['session.killed'] },
    { shows: 'delegations to an agent, signed by the person', kinds: ['agent.delegated'] },
    {
      shows: 'reads of the record, signed',
      kinds: ['evidence.read'],
      only: ({ details }) => details?.['request'] !== undefined,
    },
    { shows: 'keys of identity providers, as they were seen', kinds: ['issuer.keys'] },
  ],
  proofs: ['signatures', 'attribution'],
  notShown: [
    'Single commands are not signed by the person: they are bound to the session that is.',
    'Acts of operators at the relay’s machine: entries name the account there, and nobody signed them.',
    'That the person was at the keyboard, and that the identity provider was not deceived.',
    'Where the relay is itself the identity provider, its operator vouches for who signed in.',
  ],
};

const recordGeneration: ControlDefinition = {
  id: 'AU-12',
  title: 'Audit Record Generation',
  asks: 'The components that matter generate the audit records, completely and in order of time.',
  records: [
    { shows: 'sessions, told before their first byte reached the target', kinds: ['session.opened'] },
    {
      shows: 'sessions with their end, and how many segments and commands they have',
      kinds: ['session.closed'],
    },
    {
      shows: 'sessions that were ended because recording failed',
      kinds: ['session.closed'],
      only: endedBy('evidence-failed'),
    },
    {
      shows: 'sessions that were ended because values in them could not be masked',
      kinds: ['session.closed'],
      only: endedBy('masking-failed'),
    },
    {
      shows: 'sessions that the end of the relay interrupted',
      kinds: ['session.closed'],
      only: endedBy('interrupted', 'relay-stopped'),
    },
    { shows: 'starts and recoveries of the relay', kinds: ['relay.started', 'relay.recovered'] },
    { shows: 'entries that could not be written, told afterwards', kinds: ['gap'] },
  ],
  proofs: ['sessions', 'segments', 'entries'],
  notShown: [
    'That the relay’s clock was right: entries have its time, which never decreases.',
    'Components that are not behind the relay.',
    'Other relays’ logs: each is a log of its own, and this is one.',
  ],
};

const boundaryProtection: ControlDefinition = {
  id: 'SC-7',
  title: 'Boundary Protection',
  asks: 'Communications at managed interfaces are monitored and controlled.',
  records: [
    { shows: 'ways through the relay to a target', kinds: ['session.opened'] },
    {
      shows: 'ways through a server to other places, with host and port',
      kinds: ['command'],
      only: ran('forward'),
    },
    {
      shows: 'commands that talk to other machines or move files',
      kinds: ['command'],
      only: ran('network', 'file', 'copy'),
    },
    {
      shows: 'such ways and commands that policy stopped',
      kinds: ['command'],
      only: (event) => event.outcome === 'blocked' && does('forward', 'network', 'file', 'copy')(event),
    },
    { shows: 'changes of the relay’s configuration, by digest', kinds: ['config.changed', 'relay.started'] },
  ],
  proofs: [],
  notShown: [
    'That targets accept connections from the relay alone: the network’s own configuration shows that.',
    'Traffic that does not pass the relay.',
  ],
};

/** In order of their names. */
export const controlDefinitions: readonly ControlDefinition[] = [
  accountManagement,
  accessEnforcement,
  leastPrivilege,
  eventLogging,
  recordContent,
  recordReview,
  recordProtection,
  nonRepudiation,
  recordGeneration,
  boundaryProtection,
];
