/**
 * A recorder that masks what the client typed before it is recorded: literals in texts, values of parameters, input,
 * start-up parameters. The target gets the originals; the record, the log and reviewers get what this makes of them, and the
 * originals are sealed like those of results.
 *
 * Whatever quotes a recorded command (an entry, a review, its digest) quotes `text` and `parameters` from here: a digest
 * over the original would let anybody try all card numbers against it.
 *
 * Limits: values that the client has transformed (escapes, encodings, expressions) are not recognised, and numbers in
 * binary COPY data are not looked into.
 */
import type { CommandFacts } from '../model/command-facts.ts';
import type { Outcome } from '../model/outcome.ts';
import { MaskedInput } from './masked-input.ts';
import type { InputKind } from './masked-input.ts';
import type { Masking, RedactionPlace, RowFindings } from './masking.ts';
import type { CommandOrigin, ConnectionInfo, Recorder, TextDigest } from './recorder.ts';

/** Where values stand in a command's parameters: the protocol's knowledge. */
export interface ParameterValues {
  readonly count: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly parameters: Int32Array;
  readonly formats: Int32Array;
  readonly binary: boolean;
  read(bytes: Uint8Array): boolean;
}

export interface MaskedRecorderOptions {
  readonly recorder: Recorder;
  readonly masking: Masking;
  readonly values: ParameterValues;
  /** A binary number in decimal; null for what is none. */
  readonly decimalOf: (value: Buffer, typeOid: number) => string | null;
  /** What a command's input is made of. */
  readonly input: InputKind;
}

type Tell = (rule: string, place: RedactionPlace, original: Uint8Array) => void;
const tellNobody: Tell = () => undefined;
const noTypes: readonly number[] = [];

export class MaskedRecorder implements Recorder {
  readonly #options: MaskedRecorderOptions;
  readonly #recorder: Recorder;
  readonly #masking: Masking;
  /** Types that the client fixed, by statement; only where it fixed some. */
  readonly #types = new Map<number, readonly number[]>();
  /** Input under way, by connection. */
  readonly #inputs = new Map<number, MaskedInput>();

  constructor(options: MaskedRecorderOptions) {
    this.#options = options;
    this.#recorder = options.recorder;
    this.#masking = options.masking;
  }

  /** A text as it is recorded; the same object when nothing in it is masked. */
  text(text: Uint8Array): Uint8Array {
    return this.#text(text, 'text', tellNobody);
  }

  /** Parameters as they are recorded. @param statement whose types they have; null when they came with their text */
  parameters(parameters: Uint8Array, statement: number | null): Uint8Array {
    return this.#parameters(parameters, statement, tellNobody);
  }

  connectionOpened(connection: number, info: ConnectionInfo): void {
    const tell = this.#teller(connection, 0);
    const parameters: Record<string, string> = {};
    for (const [name, value] of Object.entries(info.parameters)) {
      const bytes = Buffer.from(value);
      const masked = this.#text(bytes, 'startup', tell);
      parameters[name] = masked === bytes ? value : Buffer.from(masked).toString();
    }
    this.#recorder.connectionOpened(connection, { ...info, parameters });
  }

  connectionClosed(connection: number, reason: string): void {
    this.#inputs.delete(connection);
    this.#recorder.connectionClosed(connection, reason);
  }

  statement(
    connection: number,
    statement: number,
    text: Uint8Array,
    parameterTypes: readonly number[],
    facts: CommandFacts,
  ): void {
    if (parameterTypes.length > 0) this.#types.set(statement, parameterTypes);
    const masked = this.#text(text, 'statement', this.#teller(connection, statement));
    this.#recorder.statement(connection, statement, masked, parameterTypes, facts);
  }

  /** As it was recorded: masked. */
  statementText(statement: number): Uint8Array | TextDigest {
    return this.#recorder.statementText(statement);
  }

  forgetStatement(statement: number): void {
    this.#types.delete(statement);
    this.#recorder.forgetStatement(statement);
  }

  command(
    connection: number,
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    verdict: 'allow' | 'deny',
    facts: CommandFacts | null,
    review: string | null,
  ): void {
    const tell = this.#teller(connection, command);
    const byName = typeof text === 'number';
    const maskedText = byName ? text : this.#text(text, 'text', tell);
    const maskedParameters =
      parameters === null ? null : this.#parameters(parameters, byName ? text : null, tell);
    this.#recorder.command(connection, command, maskedText, maskedParameters, verdict, facts, review);
  }

  input(connection: number, command: number, bytes: Uint8Array): void {
    let input = this.#inputs.get(connection);
    if (input?.command !== command) {
      input = new MaskedInput(this.#masking, command, this.#options.input);
      this.#inputs.set(connection, input);
    }
    this.#recorder.input(connection, command, input.push(bytes, this.#teller(connection, command)));
  }

  output(connection: number, command: number, bytes: Uint8Array): void {
    this.#recorder.output(connection, command, bytes);
  }

  errorOutput(connection: number, command: number, bytes: Uint8Array): void {
    this.#recorder.errorOutput(connection, command, bytes);
  }

  resize(connection: number, command: number, columns: number, rows: number): void {
    this.#recorder.resize(connection, command, columns, rows);
  }

  origin(connection: number, command: number, origin: CommandOrigin): void {
    this.#recorder.origin(connection, command, origin);
  }

  redaction(
    connection: number,
    command: number,
    rule: string,
    place: RedactionPlace,
    original: Uint8Array,
  ): void {
    this.#recorder.redaction(connection, command, rule, place, original);
  }

  rowRedactions(connection: number, command: number, found: RowFindings): void {
    this.#recorder.rowRedactions(connection, command, found);
  }

  outcome(connection: number, command: number, outcome: Outcome): void {
    if (this.#inputs.get(connection)?.command === command) this.#inputs.delete(connection);
    this.#recorder.outcome(connection, command, outcome);
  }

  flush(): void {
    this.#recorder.flush();
  }

  sync(): Promise<void> {
    return this.#recorder.sync();
  }

  #teller(connection: number, subject: number): Tell {
    return (rule, place, original) => this.#recorder.redaction(connection, subject, rule, place, original);
  }

  #text(text: Uint8Array, literal: 'statement' | 'text' | 'startup', tell: Tell): Uint8Array {
    const masking = this.#masking;
    const found = masking.scan(text, 0, text.length);
    if (found.length === 0) return text;
    const copy = Buffer.from(text);
    const pieces: Uint8Array[] = [];
    let done = 0;
    for (let i = 0; i < found.length; i++) {
      const [start, end, rule] = [found.starts[i]!, found.ends[i]!, found.rules[i]!];
      const place = { row: -1, column: -1, offset: start, length: end - start, literal };
      tell(masking.ruleName(rule), place, text.subarray(start, end));
      const instead = this.#replacement(rule, copy, start, end);
      if (instead === null) continue;
      pieces.push(copy.subarray(done, start), instead);
      done = end;
    }
    if (pieces.length === 0) return copy;
    return Buffer.concat([...pieces, copy.subarray(done)]);
  }

  /** In place and null, or what stands instead. Nothing vanishes from a record: what a rule would make null is starred. */
  #replacement(rule: number, copy: Buffer, start: number, end: number): Uint8Array | null {
    const instead = this.#masking.mask(rule, copy, start, end, 'text');
    if (instead !== 'null') return instead;
    this.#masking.redact(copy, start, end, 'text');
    return null;
  }

  #parameters(parameters: Uint8Array, statement: number | null, tell: Tell): Uint8Array {
    const { values } = this.#options;
    const whole = values.read(parameters);
    // What cannot be told apart is searched as one text: the target refuses it, the record keeps it.
    if (!whole) return this.#text(parameters, 'text', tell);
    if (values.count === 0) return parameters;
    const masking = this.#masking;
    const found = masking.scanValues(parameters, values.starts, values.ends, values.count);
    const masked = found.length === 0 ? parameters : Buffer.from(parameters);
    // In place, whatever the rule's mode: lengths stand in front of the values.
    for (let i = 0; i < found.length; i++) {
      const [start, end, value] = [found.starts[i]!, found.ends[i]!, found.values[i]!];
      tell(
        masking.ruleName(found.rules[i]!),
        parameterPlace(values, value, start, end),
        parameters.subarray(start, end),
      );
      const kept = masking.keepsLength(found.rules[i]!);
      if (kept) masking.mask(found.rules[i]!, masked as Buffer, start, end, 'text');
      else masking.redact(masked, start, end, 'text');
    }
    return values.binary ? this.#numbers(parameters, masked, statement, tell) : masked;
  }

  /** Numbers in binary: searched in decimal, and masked whole. */
  #numbers(given: Uint8Array, masked: Uint8Array, statement: number | null, tell: Tell): Uint8Array {
    const { values, decimalOf } = this.#options;
    const types = (statement === null ? undefined : this.#types.get(statement)) ?? noTypes;
    let copy = masked;
    for (let i = 0; i < values.count; i++) {
      if (values.formats[i] === 0) continue;
      const [start, end] = [values.starts[i]!, values.ends[i]!];
      const value = Buffer.from(given.buffer, given.byteOffset + start, end - start);
      const decimal = decimalOf(value, types[values.parameters[i]!] ?? 0);
      if (decimal === null) continue;
      const text = Buffer.from(decimal);
      const found = this.#masking.scan(text, 0, text.length);
      if (found.length === 0) continue;
      tell(this.#masking.ruleName(found.rules[0]!), parameterPlace(values, i, start, end), value);
      if (copy === given) copy = Buffer.from(given);
      this.#masking.redact(copy, start, end, 'opaque');
    }
    return copy;
  }
}

function parameterPlace(values: ParameterValues, value: number, start: number, end: number): RedactionPlace {
  const offset = start - values.starts[value]!;
  return { row: -1, column: values.parameters[value]!, offset, length: end - start, literal: 'parameter' };
}
