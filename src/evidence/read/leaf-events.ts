/**
 * The history by the log's own order, so that an index says how far a reader has come: what a leaf makes known is told with it.
 * Entries tell themselves; a `segment` tells the commands that ended in it; `session.closed` those that never did. Only what
 * a checkpoint names is told: it cannot be taken back.
 */
import { within, type Location } from '../location.ts';
import { EvidenceError } from '../error.ts';
import { lastStart, publishedSize } from '../log/read.ts';
import { readRecords } from '../recording/records.ts';
import { EndedCommands } from './commands.ts';
import { readEntries } from './entries.ts';
import { EntryEvents } from './entry-events.ts';
import { commandEvent, unreadableEvent, type EvidenceEvent } from './event.ts';
import { wanted } from './events.ts';
import type { EventFilter } from './filter.ts';
import { loadSegment } from './segment-cursor.ts';
import { recordingOf, type SessionSummary } from './sessions.ts';

export interface LeafEvents {
  /** In the log. */
  readonly index: number;
  readonly events: readonly EvidenceEvent[];
}

export class LeafReader {
  readonly #evidence: Location;
  readonly #filter: EventFilter;
  readonly #from: number;
  readonly #entries: EntryEvents;
  readonly #sessions = new Map<string, SessionCommands>();
  /** Null: not begun. */
  #next: number | null = null;

  /**
   * @param evidence directory
   * @param from the first leaf that is told; those before are read for what later ones refer to
   */
  constructor(evidence: Location, filter: EventFilter, from: number) {
    this.#evidence = evidence;
    this.#filter = filter;
    this.#from = from;
    this.#entries = new EntryEvents(filter);
  }

  /**
   * Leaves that were published since the last call, each once, also those without events: the index goes on.
   * @throws EvidenceError `evidence-not-found`, `log-damaged`; `log-shorter` when there are fewer than the first to be told
   */
  async *published(): AsyncGenerator<LeafEvents> {
    const log = within(this.#evidence, 'log');
    const size = await publishedSize(log);
    if (this.#next === null && this.#from > size)
      throw new EvidenceError(
        'log-shorter',
        `the log has ${size} entries, and ${this.#from} were told before`,
        {
          hint: 'was it restored from an older copy? Begin with a new cursor',
        },
      );
    // What came before the run of the relay that the first leaf is of, nothing behind it refers to.
    this.#next ??= await lastStart(log, this.#from + 1);
    if (this.#next >= size) return;
    for await (const logged of readEntries(this.#evidence, this.#next)) {
      if (logged.index >= size) return;
      this.#next = logged.index + 1;
      const { entry } = logged;
      const events: EvidenceEvent[] = [];
      const event = this.#entries.take(logged);
      const told = logged.index >= this.#from;
      if (entry.kind === 'session.opened') {
        const summary = this.#entries.session(entry.session);
        if (summary !== undefined)
          this.#sessions.set(entry.session, new SessionCommands(this.#evidence, summary));
      }
      if (entry.kind === 'segment') {
        const commands = this.#sessions.get(entry.session);
        if (told) events.push(...((await commands?.ended(entry.index)) ?? []));
        else commands?.passed(entry.index);
      }
      if (entry.kind === 'session.closed') {
        const commands = this.#sessions.get(entry.session);
        this.#sessions.delete(entry.session);
        if (told) events.push(...((await commands?.left()) ?? []));
      }
      if (event !== null) events.push(event);
      if (told) yield { index: logged.index, events: events.filter((each) => wanted(this.#filter, each)) };
    }
  }
}

/**
 * Leaves as they are published. A null says that all there was has been told, before it waits.
 * @param wait resolves when it is worth looking again; with false, no more
 */
export async function* followLeaves(
  reader: LeafReader,
  wait: () => Promise<boolean>,
): AsyncGenerator<LeafEvents | null> {
  do {
    yield* reader.published();
    yield null;
  } while (await wait());
}

/** Commands of one session, segment by segment. */
class SessionCommands {
  readonly #directory: Location;
  readonly #summary: SessionSummary;
  readonly #commands = new EndedCommands();
  /** Read already. */
  #read = -1;
  /** The last segment that was told before this reader began. */
  #toldBefore = -1;
  #damaged = false;

  constructor(evidence: Location, summary: SessionSummary) {
    this.#directory = recordingOf(evidence, summary);
    this.#summary = summary;
  }

  passed(index: number): void {
    this.#toldBefore = index;
  }

  /** What ended in this segment. */
  async ended(index: number): Promise<EvidenceEvent[]> {
    const events: EvidenceEvent[] = [];
    // Those before it are read only now: of most sessions that were told before, never.
    while (this.#read < index && !this.#damaged) {
      const next = this.#read + 1;
      const found = await this.#take(next);
      this.#read = next;
      if (next > this.#toldBefore) events.push(...found);
    }
    return events;
  }

  /** What never ended. */
  async left(): Promise<EvidenceEvent[]> {
    await this.ended(this.#toldBefore);
    return Array.from(this.#commands.unfinished(), (command) =>
      commandEvent(this.#summary, command, command.outcome),
    );
  }

  async #take(index: number): Promise<EvidenceEvent[]> {
    const events: EvidenceEvent[] = [];
    try {
      const segment = await loadSegment(this.#directory, index);
      for (const record of segment === null ? [] : readRecords(segment.bytes)) {
        const ended = this.#commands.take(record);
        if (ended !== null) events.push(commandEvent(this.#summary, ended, ended.outcome));
      }
    } catch {
      // From here on it does not parse, which is told; a session that cannot be read must not stop all others.
      this.#damaged = true;
      events.push(unreadableEvent(this.#summary, this.#summary.openedAt, 'recording-damaged'));
    }
    return events;
  }
}
