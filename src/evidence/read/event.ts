/** What an export says of one thing that happened. */
import type { Command, CommandOutcome } from './commands.ts';
import type { LogEntry } from './entries.ts';
import { formatMoment } from './moment.ts';
import { whoOf, type SessionSummary, type Who } from './sessions.ts';

/** What a line of an export says; null: does not apply, or was not given. */
export interface EvidenceEvent {
  /** RFC 3339, UTC, milliseconds; of a command: when it began. */
  readonly time: string;
  /**
   * `command`, an entry's kind (`segment` is none), or `unreadable`: from here on this session's recording does not parse
   * (see `verify`).
   */
  readonly kind: string;
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
  /** What the command does: `read`, `write`, … */
  readonly effects: readonly string[] | null;
  /** Relations and functions that it names. */
  readonly relations: readonly string[] | null;
  readonly functions: readonly string[] | null;
  /** The review that decided it, or that the entry is about. */
  readonly review: string | null;
  /** Values that were masked in it and in its results; of `session.closed`: in the session. */
  readonly redactions: number | null;
  /** What else the entry holds, by its own names. */
  readonly details: Readonly<Record<string, unknown>> | null;
  /** Programs that it starts, files that it names (each with every directory above), `host:port` that a forwarding leads to. */
  readonly programs: readonly string[] | null;
  readonly paths: readonly string[] | null;
  readonly destinations: readonly string[] | null;
  /** The command that it was typed into (a line of a shell); null: it was sent, word for word. */
  readonly parent: number | null;
  /** How a typed line became known: `reconstructed` from the terminal's screen, or `marked` by the shell itself. */
  readonly how: 'reconstructed' | 'marked' | null;
  /** Spoken by the target of its session. */
  readonly protocol: string | null;
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
} satisfies Omit<EvidenceEvent, 'time' | 'kind'>;

/** The event of one command. Its members stand in the order of every event's: an export writes them so. */
export function commandEvent(
  session: SessionSummary,
  command: Command,
  outcome: CommandOutcome,
): EvidenceEvent {
  const { startedMicros, facts, origin } = command;
  const { endedMicros } = outcome;
  const openedMs = Date.parse(session.openedAt);
  const at = (micros: number): string => formatMoment(openedMs + Math.floor(micros / 1000));
  return {
    logIndex: null,
    principal: session.principal,
    session: session.session,
    target: session.target,
    task: session.task,
    reason: session.reason,
    connection: command.connection,
    command: command.command,
    endedAt: endedMicros === null ? null : at(endedMicros),
    durationMs: endedMicros === null ? null : (endedMicros - startedMicros) / 1000,
    text: command.text,
    textBytes: command.textBytes?.toString('base64') ?? null,
    parameters: command.parameters,
    outcome: outcome.kind,
    tag: outcome.tag,
    rows: outcome.rows,
    errorCode: outcome.errorCode,
    effects: facts?.effects ?? null,
    relations: facts?.relations ?? null,
    functions: facts?.functions ?? null,
    review: command.review,
    redactions: outcome.redactions,
    details: null,
    programs: facts?.programs ?? null,
    paths: facts?.paths ?? null,
    destinations: facts?.destinations ?? null,
    parent: origin?.parent ?? null,
    how: origin?.how ?? null,
    protocol: session.protocol,
    kind: 'command',
    time: at(startedMicros),
  };
}

const about = ({ session, target, protocol, task, reason }: SessionSummary) => ({
  session,
  target,
  protocol,
  task,
  reason,
});

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
    ...('task' in entry && { task: entry.task }),
    ...('connection' in entry && { connection: entry.connection, command: entry.command, text: entry.text }),
    ...('outcome' in entry && { outcome: entry.outcome }),
    ...('review' in entry && { review: entry.review }),
    ...('effects' in entry && { effects: entry.effects }),
    ...('totals' in entry && { redactions: entry.totals.redactions }),
  };
  const rest = Object.entries(entry).filter(([name]) => !stamp.has(name) && !(name in nothing));
  const details = Object.fromEntries(rest);
  const principal = actor.kind === 'relay' ? null : whoOf(actor, groups);
  return { ...nothing, ...standing, time, kind, logIndex: index, principal, details };
}

const stamp: ReadonlySet<string> = new Set(['v', 'kind', 'time', 'actor']);

/** From here on this session's recording does not parse. */
export function unreadableEvent(session: SessionSummary, time: string, error: string): EvidenceEvent {
  const details = { error };
  return { ...nothing, ...about(session), kind: 'unreadable', time, principal: session.principal, details };
}
