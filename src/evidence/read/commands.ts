/**
 * From records to commands: texts and parameters joined from statements and blobs, decoded as the protocol says, with
 * their outcomes.
 */
import type { OutcomeKind } from '../../model/outcome.ts';
import { readRecords, type RecordedFacts, type SegmentRecord } from '../recording/records.ts';
import { endOfStreamRecord } from '../recording/stream-records.ts';
import { EvidenceError } from '../error.ts';
import type { Location } from '../location.ts';
import { LargeContents } from './large-contents.ts';
import { decodeParameters } from './parameters.ts';
import { decodeText } from './postgres-content.ts';
import { loadSegment, releaseSegment, segmentsIn, type LoadedSegment } from './segment-cursor.ts';

/** A command as the client sent it. */
export interface Command {
  readonly connection: number;
  readonly command: number;
  /** Microseconds since `session.opened`. */
  readonly startedMicros: number;
  readonly text: string;
  /** The text's own bytes where `text` does not hold them exactly; else null. */
  readonly textBytes: Buffer | null;
  /**
   * Values as text, null is SQL's NULL; of a program its environment, `NAME=value`. Null when the command has no
   * parameters.
   */
  readonly parameters: readonly (string | null)[] | null;
  /** Id of the prepared statement that it ran; null when it brought its own text. */
  readonly statement: number | null;
  /** Result formats that the client asked for (PostgreSQL Bind); empty: text. */
  readonly resultFormats: readonly number[];
  readonly verdict: 'allow' | 'deny';
  /** What it does, as the relay could tell; null in a recording that does not say. */
  readonly facts: RecordedFacts | null;
  /** The review that decided it. */
  readonly review: string | null;
  /** The command that it was typed into, and how it became known; null: it was sent, word for word. */
  readonly origin: CommandOrigin | null;
}

/** As `CommandOrigin` of the gate's recorder. */
export interface CommandOrigin {
  readonly parent: number;
  readonly how: 'reconstructed' | 'marked';
}

/** `unfinished`: the record ends without saying (the session is open, or was interrupted). */
export interface CommandOutcome {
  readonly kind: OutcomeKind | 'unfinished';
  readonly endedMicros: number | null;
  readonly tag: string | null;
  readonly rows: number | null;
  readonly errorCode: string | null;
  /** Values that were masked in what it said and in what came back. */
  readonly redactions: number;
}

export const unfinished: CommandOutcome = {
  kind: 'unfinished',
  endedMicros: null,
  tag: null,
  rows: null,
  errorCode: null,
  redactions: 0,
};

interface Statement {
  readonly text: Buffer;
  /** Its text stands apart, and was told only once. */
  readonly apart: boolean;
  readonly parameterTypes: readonly number[];
  readonly facts: RecordedFacts | null;
}

/** Takes records in order; knows what later records refer to. */
export class CommandAssembler {
  readonly #statements = new Map<number, Statement>();
  readonly #contents = new LargeContents();
  readonly #encodings = new Map<number, string>();
  /** Of the segment at hand. */
  readonly #facts = new Map<number, RecordedFacts>();
  /** Of commands that follow. */
  readonly #origins = new Map<number, CommandOrigin>();
  #protocol = '';

  /** @returns the command, when the record is one. @throws EvidenceError `recording-damaged` */
  take(record: SegmentRecord): Command | null {
    switch (record.kind) {
      case 'segment':
        // Each segment tells the statements that it uses: a long session of many does not fill the memory.
        for (const [statement, { apart }] of this.#statements) if (!apart) this.#statements.delete(statement);
        this.#facts.clear();
        this.#protocol = record.protocol;
        return null;
      case 'origin':
        this.#origins.set(record.command, { parent: record.parent, how: record.how });
        return null;
      case 'connection':
        this.#encodings.set(record.connection, record.parameters.get('client_encoding') ?? 'UTF8');
        return null;
      case 'connection-closed':
        this.#encodings.delete(record.connection);
        return null;
      case 'blob':
        this.#contents.take(record.blob, record.offset, record.bytes);
        return null;
      case 'statement': {
        // Told again in a later segment: the content, if it stands apart, was told only once.
        if (this.#statements.has(record.statement)) return null;
        const text = Buffer.from(this.#contents.whole(record.text));
        const apart = !Buffer.isBuffer(record.text);
        const { parameterTypes, facts } = record;
        this.#statements.set(record.statement, { text, apart, parameterTypes, facts: this.#factsOf(facts) });
        return null;
      }
      case 'facts': {
        const { effects, relations, functions, programs, paths, destinations } = record;
        this.#facts.set(record.facts, { effects, relations, functions, programs, paths, destinations });
        return null;
      }
      case 'command':
        return this.#command(record);
      default:
        return null;
    }
  }

  #command(record: Extract<SegmentRecord, { kind: 'command' }>): Command {
    const { connection, command, t: startedMicros, verdict } = record;
    const statement = typeof record.text === 'number' ? record.text : null;
    const known = statement === null ? undefined : this.#statements.get(statement);
    if (statement !== null && known === undefined)
      throw new EvidenceError(
        'recording-damaged',
        'A command refers to a statement that the recording does not have.',
      );
    const bytes = typeof record.text === 'number' ? known!.text : this.#contents.whole(record.text);
    const { text, exact } = decodeText(bytes, this.#encodings.get(connection) ?? 'UTF8');
    const raw = record.parameters === null ? null : this.#contents.whole(record.parameters);
    const types = known?.parameterTypes ?? [];
    const bound = raw === null ? null : decodeParameters(this.#protocol, raw, text, types);
    const origin = this.#origins.get(command) ?? null;
    this.#origins.delete(command);
    return {
      connection,
      command,
      startedMicros,
      text,
      textBytes: exact ? null : Buffer.from(bytes),
      parameters: bound?.values ?? null,
      resultFormats: bound?.resultFormats ?? [],
      statement,
      verdict,
      facts: this.#factsOf(record.facts) ?? known?.facts ?? null,
      review: record.review,
      origin,
    };
  }

  #factsOf(number: number | null): RecordedFacts | null {
    return number === null ? null : (this.#facts.get(number) ?? null);
  }
}

/** Takes records in order; knows how commands ended, and how much of them was masked. */
export class OutcomeAssembler {
  /** By command, while it runs. */
  readonly #redactions = new Map<number, number>();

  /** @returns the outcome, when the record is one */
  take(record: SegmentRecord): CommandOutcome | null {
    if (record.kind === 'redactions' && record.part !== 'statement' && record.part !== 'startup')
      this.#redactions.set(record.subject, this.redactions(record.subject) + record.count);
    if (record.kind !== 'outcome') return null;
    const { outcome: kind, t: endedMicros, tag, rows, errorCode, command } = record;
    const redactions = this.redactions(command);
    this.#redactions.delete(command);
    return { kind, endedMicros, tag, rows, errorCode, redactions };
  }

  /** So far. */
  redactions(command: number): number {
    return this.#redactions.get(command) ?? 0;
  }
}

/** Takes records in order; tells each command when it has ended. */
export class EndedCommands {
  readonly #assembler = new CommandAssembler();
  readonly #ends = new OutcomeAssembler();
  readonly #running = new Map<number, Command>();

  /** @returns the command that ended by this record. @throws EvidenceError `recording-damaged` */
  take(record: SegmentRecord): (Command & { readonly outcome: CommandOutcome }) | null {
    const begun = this.#assembler.take(record);
    if (begun !== null) this.#running.set(begun.command, begun);
    const outcome = this.#ends.take(record);
    if (outcome === null || record.kind !== 'outcome') return null;
    const ended = this.#running.get(record.command);
    this.#running.delete(record.command);
    return ended === undefined ? null : { ...ended, outcome };
  }

  /** Those that have begun and not ended. */
  *unfinished(): Generator<Command & { readonly outcome: CommandOutcome }> {
    for (const command of this.#running.values())
      yield { ...command, outcome: { ...unfinished, redactions: this.#ends.redactions(command.command) } };
  }
}

type EndedCommand = Command & { readonly outcome: CommandOutcome };

/** As `readCommandBatches`, one by one. */
export async function* readCommands(directory: Location): AsyncGenerator<EndedCommand> {
  for await (const commands of readCommandBatches(directory)) yield* commands;
}

/** Of a batch, at most; and characters, but for the command that passes them. */
const batchLength = 64;
const batchCharacters = 128 * 1024;

/**
 * A session's commands in the order in which they began, each with its outcome, some at a time. Outcomes are read ahead, so that a
 * long command holds back no others in memory: only their outcomes wait.
 * @param directory the session's
 * @throws EvidenceError `recording-damaged`, when what came before it has been given
 */
export async function* readCommandBatches(directory: Location): AsyncGenerator<readonly EndedCommand[]> {
  const present = await segmentsIn(directory);
  const assembler = new CommandAssembler();
  const outcomes = new OutcomesAhead(directory, present);
  let failure: { readonly error: unknown } | null = null;
  for (const index of present) {
    const segment = await loadSegment(directory, index);
    if (segment === null) continue;
    outcomes.enter(index, segment);
    let batch: EndedCommand[] = [];
    let characters = 0;
    try {
      for (const record of readRecords(segment.bytes, endOfStreamRecord)) {
        const command = assembler.take(record);
        if (command === null) continue;
        const outcome = outcomes.here(command.command) ?? (await outcomes.of(command.command));
        batch.push({ ...command, outcome });
        characters += charactersOf(command);
        if (batch.length < batchLength && characters < batchCharacters) continue;
        yield batch;
        [batch, characters] = [[], 0];
      }
    } catch (error) {
      failure = { error };
    }
    if (batch.length > 0) yield batch;
    if (failure !== null) throw failure.error;
    outcomes.leave(index);
    releaseSegment(segment);
  }
}

function charactersOf({ text, parameters }: Command): number {
  let sum = text.length;
  if (parameters !== null) for (const value of parameters) sum += value?.length ?? 0;
  return sum;
}

/** Reads no further than to the outcome that is asked for: in the segment whose commands are read, or in those behind it. */
class OutcomesAhead {
  readonly #directory: Location;
  readonly #present: readonly number[];
  readonly #ends = new OutcomeAssembler();
  /** That nobody asked for yet, by command. */
  readonly #outcomes = new Map<number, CommandOutcome>();
  /** The segment at hand; its own where it is ahead. */
  #index = -1;
  #own: LoadedSegment | null = null;
  #records: Iterator<SegmentRecord> = [].values();
  #failure: { readonly error: unknown } | null = null;

  /** @param present numbers of the segments */
  constructor(directory: Location, present: readonly number[]) {
    this.#directory = directory;
    this.#present = present;
  }

  /** Commands of this segment are read from now on. */
  enter(index: number, segment: LoadedSegment): void {
    if (this.#index >= index) return;
    this.#index = index;
    this.#records = readRecords(segment.bytes, endOfStreamRecord);
  }

  /** They have been; what is left of it is read, since its memory goes. */
  leave(index: number): void {
    if (this.#index !== index) return;
    try {
      while (this.#read());
    } catch (error) {
      this.#failure = { error };
    }
    this.#release();
  }

  /** Null: not in the segment at hand. */
  here(command: number): CommandOutcome | null {
    for (;;) {
      const outcome = this.#outcomes.get(command);
      if (outcome !== undefined) {
        this.#outcomes.delete(command);
        return outcome;
      }
      if (!this.#read()) return null;
    }
  }

  async of(command: number): Promise<CommandOutcome> {
    for (;;) {
      const outcome = this.here(command);
      if (outcome !== null) return outcome;
      const next = this.#present.find((index) => index > this.#index);
      if (next === undefined) return { ...unfinished, redactions: this.#ends.redactions(command) };
      this.#release();
      this.#own = await loadSegment(this.#directory, next);
      this.#index = next;
      this.#records = this.#own === null ? [].values() : readRecords(this.#own.bytes, endOfStreamRecord);
    }
  }

  #release(): void {
    if (this.#own !== null) releaseSegment(this.#own);
    this.#own = null;
  }

  /** One record more; false: there is none in the segment at hand. */
  #read(): boolean {
    if (this.#failure !== null) throw this.#failure.error;
    const { done, value } = this.#records.next();
    if (done === true) return false;
    const ended = this.#ends.take(value);
    if (ended !== null && value.kind === 'outcome') this.#outcomes.set(value.command, ended);
    return true;
  }
}
