/**
 * One history in order of time: entries of the log, with the commands of every session between them at the moment when
 * they began.
 */
import { EvidenceError } from '../error.ts';
import type { Location } from '../location.ts';
import { readCommandBatches } from './commands.ts';
import { EarliestFirst } from './earliest-first.ts';
import { EntryEvents } from './entry-events.ts';
import { readEntries } from './entries.ts';
import { commandEvent, unreadableEvent, type EvidenceEvent } from './event.ts';
import { inRange, type EventFilter } from './filter.ts';
import { recordingOf, type SessionSummary } from './sessions.ts';

/** As `readEventBatches`, one by one. */
export async function* readEvents(evidence: Location, filter: EventFilter): AsyncGenerator<EvidenceEvent> {
  for await (const events of readEventBatches(evidence, filter)) yield* events;
}

/**
 * Events in order of time (a command's time is when it began), some at a time: to wait for each of very many costs more than to
 * read it.
 * @throws EvidenceError `evidence-not-found`
 */
export async function* readEventBatches(
  evidence: Location,
  filter: EventFilter,
): AsyncGenerator<readonly EvidenceEvent[]> {
  const over = filter.from === undefined ? new Set<string>() : await closedBefore(evidence, filter.from);
  const entryEvents = new EntryEvents(filter);
  const commands = new EarliestFirst<EvidenceEvent>((event) => event.time);
  const ofFilter = (event: EvidenceEvent): boolean => wanted(filter, event);
  for await (const logged of readEntries(evidence)) {
    const { entry } = logged;
    if (filter.to !== undefined && entry.time >= filter.to) break;
    for await (const events of commands.before(entry.time)) yield events.filter(ofFilter);
    const event = entryEvents.take(logged);
    if (event !== null && wanted(filter, event)) yield [event];
    if (entry.kind !== 'session.opened' || over.has(entry.session)) continue;
    const opened = entryEvents.session(entry.session);
    if (opened !== undefined) await commands.add(sessionEvents(evidence, opened));
  }
  for await (const events of commands.before(filter.to ?? afterAllTimes)) yield events.filter(ofFilter);
}

/** Those of the log's entries alone, in order. @throws EvidenceError `evidence-not-found` */
export async function* readEntryEvents(
  evidence: Location,
  filter: EventFilter,
): AsyncGenerator<EvidenceEvent> {
  const entryEvents = new EntryEvents(filter);
  for await (const logged of readEntries(evidence)) {
    const event = entryEvents.take(logged);
    if (event !== null && wanted(filter, event)) yield event;
  }
}

const afterAllTimes = '~';

/** Time and outcome; the rest was asked of the session or the person. */
export function wanted(filter: EventFilter, event: EvidenceEvent): boolean {
  if (!inRange(filter, event.time)) return false;
  return filter.outcome === undefined || filter.outcome === event.outcome;
}

async function* sessionEvents(
  evidence: Location,
  session: SessionSummary,
): AsyncGenerator<readonly EvidenceEvent[]> {
  let time = session.openedAt;
  try {
    for await (const commands of readCommandBatches(recordingOf(evidence, session))) {
      const events = commands.map((command) => commandEvent(session, command, command.outcome));
      time = events.at(-1)!.time;
      yield events;
    }
  } catch (error) {
    const code = error instanceof EvidenceError ? error.code : 'recording-damaged';
    yield [unreadableEvent(session, time, code)];
  }
}

/** Sessions of which nothing can be in range: their recordings need not be read. */
async function closedBefore(evidence: Location, from: string): Promise<Set<string>> {
  const over = new Set<string>();
  for await (const { entry } of readEntries(evidence)) {
    if (entry.time >= from) break;
    if (entry.kind === 'session.closed') over.add(entry.session);
  }
  return over;
}
