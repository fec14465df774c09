/**
 * The channels of a server's session (SSH): programs with or without a terminal, transfers, forwarded connections. In the
 * record each is a connection, and its number is the connection's.
 */
import type { Location } from '../location.ts';
import type { OutcomeKind } from '../../model/outcome.ts';
import type { SegmentRecord } from '../recording/records.ts';
import { CommandAssembler } from './commands.ts';
import { SegmentCursor } from './segment-cursor.ts';

export interface Channel {
  readonly channel: number;
  /** `shell`, `exec`, `subsystem`, `forward`, `request`. */
  readonly kind: string;
  /** What kind of terminal it has; null: none. */
  readonly term: string | null;
  /** Of the program, cut to `longestText` characters; null: none was recorded. */
  readonly text: string | null;
  /** The terminal's first size. */
  readonly columns: number | null;
  readonly rows: number | null;
  /** Microseconds since `session.opened`. */
  readonly openedMicros: number;
  /** Null: it is open, or the record ends without saying. */
  readonly closedMicros: number | null;
  readonly outcome: OutcomeKind | null;
  readonly tag: string | null;
}

const longestText = 256;

type Mutable = { -readonly [K in keyof Channel]: Channel[K] } & { program: number | null };

/** Takes records in order; knows the channels until then. */
export class ChannelTable {
  readonly #assembler = new CommandAssembler();
  readonly #channels = new Map<number, Mutable>();

  /** In the order in which they were opened. */
  get channels(): readonly Channel[] {
    return [...this.#channels.values()].map(({ program: _program, ...channel }) => channel);
  }

  take(record: SegmentRecord): void {
    const command = this.#assembler.take(record);
    if (record.kind === 'connection') {
      const { connection: channel, parameters, t: openedMicros } = record;
      const [kind, term] = [parameters.get('channel') ?? 'unknown', parameters.get('term') ?? null];
      const about = { channel, kind, term, text: null, columns: null, rows: null, openedMicros };
      this.#channels.set(channel, {
        ...about,
        closedMicros: null,
        outcome: null,
        tag: null,
        program: null,
      });
      return;
    }
    const channel = 'connection' in record ? this.#channels.get(record.connection) : undefined;
    if (channel === undefined) return;
    if (record.kind === 'connection-closed') channel.closedMicros = record.t;
    else if (record.kind === 'resize') {
      channel.columns ??= record.columns;
      channel.rows ??= record.rows;
    } else if (command !== null && channel.program === null) {
      // The first one is the program; others (lines of a shell, files) happen in it.
      channel.program = command.command;
      channel.text = command.text.slice(0, longestText);
    } else if (record.kind === 'outcome' && record.command === channel.program) {
      channel.outcome = record.outcome;
      channel.tag = record.tag;
    }
  }
}

/**
 * @param directory the session's
 * @throws EvidenceError `recording-damaged`
 */
export async function readChannels(directory: Location): Promise<readonly Channel[]> {
  const table = new ChannelTable();
  for await (const record of new SegmentCursor(directory).records()) table.take(record);
  return table.channels;
}

type Kind = Pick<Channel, 'kind' | 'term'>;
const isProgram = ({ kind }: Kind): boolean => kind === 'shell' || kind === 'exec' || kind === 'subsystem';

/** What somebody who names no channel wants to see: the first terminal, else the first program. */
export const firstChannel = <T extends Kind>(channels: readonly T[]): T | null =>
  channels.find((channel) => channel.kind === 'shell' || channel.term !== null) ??
  channels.find(isProgram) ??
  null;

/** Which channel somebody who watches a session sees, one after another. */
export class WatchedChannels {
  /** Those that were over when watching began, and those that were shown. */
  #passed: Set<number> | null = null;

  /** Null: none yet. */
  next(channels: readonly Channel[], sessionIsOver: boolean): number | null {
    if (this.#passed === null) {
      const before = sessionIsOver ? [] : channels.filter(({ closedMicros }) => closedMicros !== null);
      this.#passed = new Set(before.map(({ channel }) => channel));
    }
    const passed = this.#passed;
    const found = firstChannel(channels.filter(({ channel }) => !passed.has(channel)));
    if (found !== null) passed.add(found.channel);
    return found?.channel ?? null;
  }
}
