/**
 * One history in order of time: entries of the log, with the commands of every session between them at the moment when
 * they began.
 */
import type { Entry } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { readCommands, type Command, type CommandOutcome } from './commands.ts';
import { readEntries, type LogEntry } from './entries.ts';
import { inRange, matchesPerson, matchesSession, type EventFilter } from './filter.ts';
import { EarliestFirst } from './earliest-first.ts';
import { LoginGroups, recordingOf, summaryOf, type SessionSummary, type Who } from './sessions.ts';

/** A command, an entry's kind, or `unreadable`: from here on this session's recording does not parse (see `verify`). */
export type EventKind = 'command' | 'unreadable' | Exclude<Entry['kind'], 'segment'>;

/** What a line of an export says; null: does not apply, or was not given. */
export interface EvidenceEvent {
  /** RFC 3339, UTC, milliseconds; of a command: when it began. */
  readonly time: string;
  readonly kind: EventKind;
  /** Place in the log; null for commands, which stand in recordings. */
  readonly logIndex: number | null;
  /** Who did it; null: the relay by itself. */
  readonly principal: Who | null;
  readonly session: string | null;
  readonly target: string | null;
  readonly task: string | null;
  readonly reason: string | null;
  readonly connection: number | null;
  readonly command: number | null;
  readonly endedAt: string | null;
  readonly durationMs: number | null;
  readonly text: string | null;
  /** Base64 of the text's bytes, when `text` does not hold them exactly. */
  readonly textBytes: string | null;
  readonly parameters: readonly (string | null)[] | null;
  readonly outcome: string | null;
  readonly tag: string | null;
  readonly rows: number | null;
  readonly errorCode: string | null;
  /** What else the entry holds, by its own names. */
  readonly details: Readonly<Record<string, unknown>> | null;
}

const nothing = {
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
  details: null,
} satisfies Omit<EvidenceEvent, 'time' | 'kind'>;

const at = (session: SessionSummary, micros: number): string =>
  new Date(Date.parse(session.openedAt) + Math.floor(micros / 1000)).toISOString();

/** The event of one command. */
export function commandEvent(
  session: SessionSummary,
  command: Command,
  outcome: CommandOutcome,
): EvidenceEvent {
  const { endedMicros, kind, tag, rows, errorCode } = outcome;
  return {
    ...nothing,
    ...about(session),
    kind: 'command',
    time: at(session, command.startedMicros),
    principal: session.principal,
    connection: command.connection,
    command: command.command,
    endedAt: endedMicros === null ? null : at(session, endedMicros),
    durationMs: endedMicros === null ? null : (endedMicros - command.startedMicros) / 1000,
    text: command.text,
    textBytes: command.textBytes?.toString('base64') ?? null,
    parameters: command.parameters,
    outcome: kind,
    tag,
    rows,
    errorCode,
  };
}

const about = ({ session, target, task, reason }: SessionSummary) => ({ session, target, task, reason });

/** The event of one entry; null for segments, which are not events. `session` where the entry belongs to one. */
export function entryEvent(
  { index, entry }: LogEntry,
  session: SessionSummary | undefined,
  groups: readonly string[],
): EvidenceEvent | null {
  if (entry.kind === 'segment') return null;
  const { kind, time, actor } = entry;
  const standing = {
    ...(session && about(session)),
    ...('session' in entry && { session: entry.session }),
    ...('reason' in entry && { reason: entry.reason }),
    ...('connection' in entry && { connection: entry.connection, command: entry.command, text: entry.text }),
    ...('outcome' in entry && { outcome: entry.outcome }),
  };
  const rest = Object.entries(entry).filter(([name]) => !stamp.has(name) && !(name in nothing));
  const details = Object.fromEntries(rest);
  const principal = actor.kind === 'relay' ? null : { ...actor, groups };
  return { ...nothing, ...standing, time, kind, logIndex: index, principal, details };
}

const stamp: ReadonlySet<string> = new Set(['v', 'kind', 'time', 'actor']);

/** State of the reading: what later entries refer to. */
interface Context {
  readonly filter: EventFilter;
  readonly logins: LoginGroups;
  /** Sessions that may match and are not closed yet. */
  readonly sessions: Map<string, SessionSummary>;
  readonly groups: Map<string, readonly string[]>;
}

/**
 * Events in order of time (a command's time is when it began).
 * @throws EvidenceError `evidence-not-found`
 */
export async function* readEvents(evidence: string, filter: EventFilter): AsyncGenerator<EvidenceEvent> {
  const over = filter.from === undefined ? new Set<string>() : await closedBefore(evidence, filter.from);
  const context: Context = { filter, logins: new LoginGroups(), sessions: new Map(), groups: new Map() };
  const commands = new EarliestFirst<EvidenceEvent>((event) => event.time);
  for await (const logged of readEntries(evidence)) {
    const { entry } = logged;
    if (filter.to !== undefined && entry.time >= filter.to) break;
    for await (const event of commands.before(entry.time)) if (wanted(filter, event)) yield event;
    const event = take(context, logged);
    if (event !== null && wanted(filter, event)) yield event;
    const opened = entry.kind === 'session.opened' ? context.sessions.get(entry.session) : undefined;
    if (opened !== undefined && !over.has(opened.session))
      await commands.add(sessionEvents(evidence, opened));
  }
  for await (const event of commands.before(filter.to ?? '~')) if (wanted(filter, event)) yield event;
}

function wanted(filter: EventFilter, event: EvidenceEvent): boolean {
  if (!inRange(filter, event.time)) return false;
  return filter.outcome === undefined || filter.outcome === event.outcome;
}

/** The entry's event, if the filter wants it. */
function take(context: Context, logged: LogEntry): EvidenceEvent | null {
  const { entry } = logged;
  const { filter, logins, sessions } = context;
  if (entry.kind === 'login') {
    logins.take(entry);
    if (!byPersonAlone(filter) || !matchesPerson(filter, { ...entry.actor, groups: entry.groups }))
      return null;
    return entryEvent(logged, undefined, entry.groups);
  }
  if (entry.kind === 'session.opened') {
    const summary = summaryOf(entry, logins.of(entry.login));
    if (!matchesSession(filter, summary)) return null;
    sessions.set(entry.session, summary);
    return entryEvent(logged, summary, summary.principal.groups);
  }
  const session = sessionOf(entry) === null ? undefined : sessions.get(sessionOf(entry)!);
  if (entry.kind === 'session.closed') sessions.delete(entry.session);
  if (session === undefined && !matchesAlone(filter, entry)) return null;
  return entryEvent(logged, session, actorGroups(logins, entry));
}

const sessionOf = (entry: Entry): string | null => ('session' in entry ? entry.session : null);

const actorGroups = (logins: LoginGroups, entry: Entry): readonly string[] =>
  'login' in entry ? logins.of(entry.login) : [];

/** No filter that only a session can answer. */
const byPersonAlone = ({ target, task, session }: EventFilter): boolean =>
  target === undefined && task === undefined && session === undefined;

/** An entry of no session that was let through: the system's own events, or a person's. */
function matchesAlone(filter: EventFilter, entry: Entry): boolean {
  if (filter.session !== undefined && sessionOf(entry) === filter.session) return true;
  if (!byPersonAlone(filter)) return false;
  if (filter.person === undefined) return true;
  return entry.actor.kind !== 'relay' && matchesPerson(filter, { ...entry.actor, groups: [] });
}

async function* sessionEvents(evidence: string, session: SessionSummary): AsyncGenerator<EvidenceEvent> {
  let time = session.openedAt;
  try {
    for await (const command of readCommands(recordingOf(evidence, session))) {
      const event = commandEvent(session, command, command.outcome);
      time = event.time;
      yield event;
    }
  } catch (error) {
    const details = { error: error instanceof EvidenceError ? error.code : 'recording-damaged' };
    yield { ...nothing, ...about(session), kind: 'unreadable', time, principal: session.principal, details };
  }
}

/** Sessions of which nothing can be in range: their recordings need not be read. */
async function closedBefore(evidence: string, from: string): Promise<Set<string>> {
  const over = new Set<string>();
  for await (const { entry } of readEntries(evidence)) {
    if (entry.time >= from) break;
    if (entry.kind === 'session.closed') over.add(entry.session);
  }
  return over;
}
