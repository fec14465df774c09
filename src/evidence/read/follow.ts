/**
 * The history as it happens: entries when they are in the log, commands when they end. Looks again when `wait` says so;
 * nobody is called back, so a slow reader slows only itself.
 */
import type { Location } from '../location.ts';
import type { EvidenceEvent } from './event.ts';
import { commandEvent } from './event.ts';
import { EndedCommands } from './commands.ts';
import { EntryEvents } from './entry-events.ts';
import { readEntries } from './entries.ts';
import { wanted } from './events.ts';
import type { EventFilter } from './filter.ts';
import { SegmentCursor } from './segment-cursor.ts';
import { recordingOf, type SessionSummary } from './sessions.ts';

/**
 * Events from now on. A null says that all there was has been told, before it waits.
 * @param wait resolves when it is worth looking again; with false, no more
 * @throws EvidenceError `evidence-not-found`, `recording-damaged`
 */
export async function* followEvents(
  evidence: Location,
  filter: EventFilter,
  wait: () => Promise<boolean>,
): AsyncGenerator<EvidenceEvent | null> {
  const entryEvents = new EntryEvents(filter);
  const sessions = new Map<string, FollowedSession>();
  let next = 0;
  /** What was there before is read for what later events refer to, and not told. */
  let past = true;
  do {
    for await (const logged of readEntries(evidence, next)) {
      next = logged.index + 1;
      const { entry } = logged;
      const event = entryEvents.take(logged);
      if (entry.kind === 'session.opened') {
        const summary = entryEvents.session(entry.session);
        if (summary !== undefined) sessions.set(entry.session, new FollowedSession(evidence, summary));
      }
      const ended = entry.kind === 'session.closed' ? sessions.get(entry.session) : undefined;
      if (ended !== undefined) {
        sessions.delete(ended.summary.session);
        if (!past) for await (const command of ended.commands()) if (wanted(filter, command)) yield command;
      }
      if (!past && event !== null && wanted(filter, event)) yield event;
    }
    for (const session of sessions.values())
      for await (const event of session.commands()) if (!past && wanted(filter, event)) yield event;
    past = false;
    yield null;
  } while (await wait());
}

class FollowedSession {
  readonly summary: SessionSummary;
  readonly #cursor: SegmentCursor;
  readonly #commands = new EndedCommands();

  constructor(evidence: Location, summary: SessionSummary) {
    this.summary = summary;
    this.#cursor = new SegmentCursor(recordingOf(evidence, summary));
  }

  /** Commands that ended since the last call. */
  async *commands(): AsyncGenerator<EvidenceEvent> {
    for await (const record of this.#cursor.records()) {
      const ended = this.#commands.take(record);
      if (ended !== null) yield commandEvent(this.summary, ended, ended.outcome);
    }
  }
}
