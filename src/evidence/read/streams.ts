/**
 * What passed through the channels of a server's session, byte by byte as it was recorded: for who plays it again, or
 * watches it. Streams; memory holds one segment.
 */
import type { Location } from '../location.ts';
import type { OutcomeKind, SessionEnd } from '../../model/outcome.ts';
import type { SegmentRecord, StreamKind } from '../recording/records.ts';
import { ChannelTable, WatchedChannels } from './channels.ts';
import { CommandAssembler, type CommandOrigin } from './commands.ts';
import { SegmentCursor } from './segment-cursor.ts';
import { SessionEnding } from './session-ending.ts';
import { recordingOf, type SessionSummary } from './sessions.ts';

/** `micros` since `session.opened`; `channel` 0: of none. */
export type StreamItem = { readonly micros: number; readonly channel: number } & (
  | { readonly kind: 'opened'; readonly type: string; readonly term: string | null }
  /** A program, a line of a shell, a file. */
  | {
      readonly kind: 'command';
      readonly command: number;
      readonly text: string;
      readonly origin: CommandOrigin | null;
    }
  | { readonly kind: 'window'; readonly columns: number; readonly rows: number }
  /** Base64. */
  | { readonly kind: StreamKind; readonly bytes: string }
  | {
      readonly kind: 'outcome';
      readonly command: number;
      readonly outcome: OutcomeKind;
      readonly tag: string | null;
      readonly errorCode: string | null;
    }
  | { readonly kind: 'closed'; readonly reason: string }
  /** The session. Nothing follows. */
  | { readonly kind: 'ended'; readonly outcome: SessionEnd }
);

export interface StreamChoice {
  /** Null: of all. */
  readonly channel: number | null;
  /** What was sent to the programs, too. */
  readonly input: boolean;
}

/**
 * @param directory the session's
 * @throws EvidenceError `recording-damaged`
 */
export async function* readStreams(directory: Location, choice: StreamChoice): AsyncGenerator<StreamItem> {
  const streams = new Streams(choice);
  for await (const record of new SegmentCursor(directory).records()) yield* streams.take(record);
}

export interface Followed extends StreamChoice {
  readonly evidence: Location;
  readonly session: Pick<SessionSummary, 'session' | 'openedAt'>;
}

/**
 * A session as it goes on, until it ends: of the channel, or of one after another (the terminals first), each from its
 * beginning. A null says that all there was has been told, before it waits.
 * @param wait resolves when it is worth looking again; with false, no more
 * @throws EvidenceError `recording-damaged`
 */
export async function* followStreams(
  { evidence, session, channel, input }: Followed,
  wait: () => Promise<boolean>,
): AsyncGenerator<StreamItem | null> {
  const directory = recordingOf(evidence, session);
  const ending = new SessionEnding(evidence, session.session);
  const table = new ChannelTable();
  const all = new SegmentCursor(directory);
  const watched = new WatchedChannels();
  let reader = channel === null ? null : new ChannelReader(directory, { channel, input });
  do {
    // Looked for before the records are: after the end of a session nothing is recorded.
    const outcome = await ending.look();
    for await (const record of all.records()) table.take(record);
    for (;;) {
      if (channel === null && reader === null) {
        const next = watched.next(table.channels, outcome !== null);
        if (next !== null) reader = new ChannelReader(directory, { channel: next, input });
      }
      if (reader === null) break;
      yield* reader.items();
      if (!reader.closed || channel !== null) break;
      reader = null;
    }
    if (outcome !== null) {
      yield { micros: 0, channel: 0, kind: 'ended', outcome };
      return;
    }
    yield null;
  } while (await wait());
}

/** One channel's items, as far as they were recorded; goes on later. */
class ChannelReader {
  readonly #cursor: SegmentCursor;
  readonly #streams: Streams;
  closed = false;

  constructor(directory: Location, choice: StreamChoice) {
    this.#cursor = new SegmentCursor(directory);
    this.#streams = new Streams(choice);
  }

  async *items(): AsyncGenerator<StreamItem> {
    if (this.closed) return;
    for await (const record of this.#cursor.records()) {
      for (const item of this.#streams.take(record)) {
        if (item.kind === 'closed') this.closed = true;
        yield item;
      }
    }
  }
}

class Streams {
  readonly #choice: StreamChoice;
  readonly #assembler = new CommandAssembler();

  constructor(choice: StreamChoice) {
    this.#choice = choice;
  }

  *take(record: SegmentRecord): Generator<StreamItem> {
    const command = this.#assembler.take(record);
    if (!('connection' in record)) return;
    const { connection: channel, t: micros } = record;
    if (this.#choice.channel !== null && this.#choice.channel !== channel) return;
    const at = { micros, channel };
    switch (record.kind) {
      case 'connection': {
        const { parameters } = record;
        const type = parameters.get('channel') ?? 'unknown';
        yield { ...at, kind: 'opened', type, term: parameters.get('term') ?? null };
        return;
      }
      case 'command': {
        const { text, origin } = command!;
        yield { ...at, kind: 'command', command: record.command, text, origin };
        return;
      }
      case 'resize':
        yield { ...at, kind: 'window', columns: record.columns, rows: record.rows };
        return;
      case 'input':
        if (!this.#choice.input) return;
        yield { ...at, kind: 'input', bytes: record.bytes.toString('base64') };
        return;
      case 'output':
      case 'error-output':
        yield { ...at, kind: record.kind, bytes: record.bytes.toString('base64') };
        return;
      case 'outcome': {
        const { command: number, outcome, tag, errorCode } = record;
        yield { ...at, kind: 'outcome', command: number, outcome, tag, errorCode };
        return;
      }
      case 'connection-closed':
        yield { ...at, kind: 'closed', reason: record.reason };
        return;
      default:
        return;
    }
  }
}
