/**
 * The target's messages after start-up, target to client: framed in place, attributed to their commands, handed to the
 * gate in runs (all of a chunk that belongs to one command is one run), then delivered. DataRow, CopyData and
 * FunctionCallResponse of any size pass in pieces; every other message is looked at whole, up to its limit. What is
 * not legal at its place ends the connection: the target is not trusted to be PostgreSQL.
 */
import { Gathering } from '../../bytes/gathering.ts';
import type { ConnectionGate } from '../../gate/gate.ts';
import { PostgresError } from './error.ts';
import type { Exchange } from './exchange.ts';
import type { LargeMessage } from './masking/large-message.ts';
import type { ResultMasking } from './masking/result-masking.ts';
import { sqlstateOf } from './messages/error.ts';
import { headerBytes, maximumLength } from './messages/frame.ts';

/** Message types, as ASCII. */
const parseComplete = 0x31, bindComplete = 0x32, closeComplete = 0x33, notification = 0x41, commandComplete = 0x43; // prettier-ignore
const dataRow = 0x44, errorResponse = 0x45, copyInResponse = 0x47, copyOutResponse = 0x48, emptyQuery = 0x49; // prettier-ignore
const notice = 0x4e, parameterStatus = 0x53, rowDescription = 0x54, functionResponse = 0x56, copyBothResponse = 0x57; // prettier-ignore
const readyForQuery = 0x5a, copyDone = 0x63, copyData = 0x64, noData = 0x6e, portalSuspended = 0x73; // prettier-ignore
const parameterDescription = 0x74;

const bodyless = new Set([
  parseComplete,
  bindComplete,
  closeComplete,
  emptyQuery,
  copyDone,
  noData,
  portalSuspended,
]);

/** Longest message by type; those of any size pass in pieces. Length field included. */
const limits = new Map<number, number>([
  [dataRow, maximumLength],
  [copyData, maximumLength],
  [functionResponse, maximumLength],
  [errorResponse, 64 * 1024 * 1024 + 64 * 1024],
  [notice, 64 * 1024 * 1024 + 64 * 1024],
  [rowDescription, 4 * 1024 * 1024],
  [notification, 1024 * 1024],
  [parameterStatus, 1024 * 1024],
  [parameterDescription, 1024 * 1024],
  [commandComplete, 65_536],
  [copyInResponse, 65_536],
  [copyOutResponse, 65_536],
  [copyBothResponse, 65_536],
]);

/** With text in them; masked one by one. */
const withText = new Set([
  errorResponse,
  notice,
  notification,
  parameterStatus,
  rowDescription,
  functionResponse,
]);

/** With masking, a row or COPY data up to this length is looked at whole; what is longer in pieces. */
const wholeBytes = 1024 * 1024;

/** Attribution of a message that belongs to whatever stands beside it. */
const any = -1;

export interface BackendOptions {
  readonly gate: ConnectionGate;
  readonly exchange: Exchange;
  /** Takes what may be delivered once it is recorded, in order; `midMessage`: its last message goes on. */
  readonly deliver: (bytes: Buffer, midMessage: boolean) => void;
  /** Null: nothing is masked. */
  readonly masking: ResultMasking | null;
  /** Runs what happens outside of `receive`: what it throws ends the connection. */
  readonly awake: (work: () => void) => void;
}

export class Backend {
  readonly #gate: ConnectionGate;
  readonly #exchange: Exchange;
  readonly #deliver: BackendOptions['deliver'];
  /** The client is gone: answers still count, but nothing is delivered any more, nor recorded as if it were. */
  discarding = false;
  #gathering: Gathering | null = null;
  /** Bytes still to come of a message that passes in pieces. */
  #passing = 0;
  /** The last run's command, for pieces of which nothing else is known. */
  #command = 0;
  #runCommand = any;
  #runStart = 0;
  /** Repeated tags (`SELECT 1`) become one string. */
  #tagBytes: Buffer = Buffer.alloc(0);
  #tag = '';
  #errorLast = false;
  readonly #masking: ResultMasking | null;
  readonly #awake: BackendOptions['awake'];
  /** Rows, or COPY data, of the chunk at hand that are not masked yet start here; -1: there are none. */
  #rowsStart = -1;
  #rowsType = 0;
  /** Number of the first of these rows. */
  #row = 0;
  /** What must wait until names of columns are known, see `waiting`. */
  #held: Buffer[] = [];
  #waiting = false;
  /** A message that is masked in pieces. */
  #large: LargeMessage | null = null;

  constructor(options: BackendOptions) {
    this.#gate = options.gate;
    this.#exchange = options.exchange;
    this.#deliver = options.deliver;
    this.#masking = options.masking;
    this.#awake = options.awake;
  }

  /** What masking has to know of the target is not there yet: no more should be received meanwhile. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** The last message was an error that nothing followed: the target has said why it closes. */
  get errorLast(): boolean {
    return this.#errorLast;
  }

  /** A message was delivered in part: nothing else may be put in its place. */
  get midMessage(): boolean {
    return this.#passing > 0;
  }

  /** Takes what the target sent. @throws PostgresError, BytesError */
  receive(chunk: Buffer): void {
    if (this.#waiting) {
      this.#held.push(Buffer.from(chunk)); // it is only lent
      return;
    }
    let position = 0;
    if (this.#passing > 0) {
      position = Math.min(this.#passing, chunk.length);
      this.#passing -= position;
      this.#goOn(chunk, 0, position);
    } else this.#runStart = 0;
    while (this.#gathering !== null && position < chunk.length) position = this.#gather(chunk, position);
    if (this.#waiting) {
      if (position < chunk.length) this.#held.push(Buffer.from(chunk.subarray(position)));
    } else this.#walk(chunk, position);
  }

  /** Adds to a message that an earlier chunk began; handles it when it is complete. */
  #gather(chunk: Buffer, from: number): number {
    const gathering = this.#gathering!;
    const position = gathering.add(chunk, from);
    this.#runStart = position;
    if (gathering.missing > 0) return position;
    const bytes = gathering.bytes();
    this.#gathering = null;
    const length = checkedLength(bytes[0]!, bytes.readUInt32BE(1));
    if (bytes.length === headerBytes && length > 4 && !this.#inPieces(bytes[0]!, length)) {
      this.#gathering = new Gathering(1 + length);
      this.#gathering.add(bytes, 0);
      return position;
    }
    this.#runStart = 0;
    this.#walk(bytes, 0);
    this.#runStart = position;
    if (this.#passing === 0) return position;
    // Only the header of a message that passes in pieces was gathered.
    const end = position + Math.min(this.#passing, chunk.length - position);
    this.#passing -= end - position;
    this.#goOn(chunk, position, end);
    return end;
  }

  /** More of a message that passes in pieces. */
  #goOn(chunk: Buffer, start: number, end: number): void {
    if (this.#large === null) {
      this.#runStart = start;
      this.#runCommand = this.#command;
      return;
    }
    this.#runStart = end;
    this.#feed(this.#large, chunk.subarray(start, end));
    if (this.#passing === 0) this.#large = null;
  }

  #feed(large: LargeMessage, piece: Buffer): void {
    if (this.discarding) return;
    const bytes = large.push(piece);
    if (bytes.length > 0) this.#deliver(this.#gate.output(this.#command, bytes), large.missing > 0);
  }

  /** A message begins that is too long to be held: its first bytes, to the end of the chunk. */
  #begin(masking: ResultMasking, type: number, chunk: Buffer, start: number, end: number): void {
    this.#maskRows(masking, chunk, start);
    const row = this.#exchange.rowNumber;
    this.#message(type, chunk, start, end);
    this.#flushRun(chunk, start);
    this.#command = this.#exchange.current;
    this.#runStart = chunk.length;
    if (this.discarding) return;
    this.#large = masking.large(this.#command, type, end - start, row);
    this.#feed(this.#large, chunk.subarray(start));
  }

  #walk(chunk: Buffer, from: number): void {
    if (this.#masking !== null) return this.#walkMasked(this.#masking, chunk, from);
    let position = from;
    const size = chunk.length;
    while (size - position >= headerBytes) {
      const type = chunk[position]!;
      const length =
        ((chunk[position + 1]! << 24) |
          (chunk[position + 2]! << 16) |
          (chunk[position + 3]! << 8) |
          chunk[position + 4]!) >>>
        0;
      const end = position + 1 + checkedLength(type, length);
      if (end <= size) {
        this.#message(type, chunk, position, end);
        position = end;
      } else if (passes(type)) {
        this.#message(type, chunk, position, end);
        this.#passing = end - size;
        position = size;
      } else {
        this.#gathering = new Gathering(1 + length);
        break;
      }
    }
    this.#leave(chunk, position);
  }

  /** As `#walk`, of which every instruction counts. */
  #walkMasked(masking: ResultMasking, chunk: Buffer, from: number): void {
    let position = from;
    const size = chunk.length;
    while (size - position >= headerBytes) {
      const type = chunk[position]!;
      const length = checkedLength(type, chunk.readUInt32BE(position + 1));
      const end = position + 1 + length;
      if (end <= size) {
        if (!this.#masked(masking, type, chunk, position, end)) return this.#wait(masking, chunk, position);
        position = end;
      } else if (this.#inPieces(type, length)) {
        this.#begin(masking, type, chunk, position, end);
        this.#passing = end - size;
        position = size;
      } else {
        this.#gathering = new Gathering(1 + length);
        break;
      }
    }
    this.#maskRows(masking, chunk, position);
    this.#leave(chunk, position);
  }

  /** What was walked goes; the beginning of a message that is not all here stays. */
  #leave(chunk: Buffer, position: number): void {
    this.#flushRun(chunk, position);
    if (position === chunk.length) return;
    this.#gathering ??= new Gathering(headerBytes);
    this.#gathering.add(chunk, position);
  }

  /** One message; of one that passes in pieces, its beginning. */
  #message(type: number, chunk: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    if (type === dataRow) {
      if (exchange.rows++ === 0) exchange.expectRow();
      this.#attribute(exchange.current, chunk, start);
      return;
    }
    this.#errorLast = type === errorResponse;
    const body = start + headerBytes;
    switch (type) {
      case commandComplete:
        this.#attribute(exchange.current, chunk, start);
        exchange.commandComplete(this.#tagOf(chunk, body, end));
        return;
      case readyForQuery:
        this.#attribute(exchange.ready || any, chunk, start);
        exchange.readyForQuery(statusOf(chunk[body]!));
        return;
      case copyData:
      case copyDone:
        if (!exchange.copyingOut) throw unexpected(type);
        this.#attribute(exchange.current, chunk, start);
        return;
      case errorResponse:
        this.#error(chunk, start, end);
        return;
      case notification:
        this.#attribute(0, chunk, start);
        return;
      case notice:
      case parameterStatus:
        this.#attribute(exchange.current || any, chunk, start);
        return;
      default:
        this.#attribute(exchange.current || any, chunk, start);
        this.#answer(type, chunk, start, end);
    }
  }

  #inPieces(type: number, length: number): boolean {
    return passes(type) && (this.#masking === null || length > wholeBytes);
  }

  /** One whole message of which nothing may be delivered unmasked. False: it must wait. */
  #masked(masking: ResultMasking, type: number, chunk: Buffer, start: number, end: number): boolean {
    const exchange = this.#exchange;
    if (type === dataRow || type === copyData) {
      if (type !== this.#rowsType) this.#maskRows(masking, chunk, start);
      if (this.#rowsStart === -1) {
        this.#rowsStart = start;
        this.#rowsType = type;
        this.#row = exchange.rowNumber;
      }
      this.#message(type, chunk, start, end);
      return true;
    }
    this.#maskRows(masking, chunk, start);
    const command = exchange.current;
    if (type === rowDescription && exchange.describing !== 0) {
      if (!masking.described(exchange.describing, chunk, start, end)) return false;
    } else if (type === errorResponse || type === notice) {
      if (!masking.tellable(chunk, start, end)) return false;
    } else if (type === commandComplete) masking.completed(command, chunk, start + headerBytes);
    else if (type === readyForQuery) masking.ready(exchange.ready, chunk[start + headerBytes] === idle);
    else if (type === copyOutResponse) masking.copyBegins(command, chunk, start, end);
    const texts = withText.has(type) && !this.discarding;
    const instead = texts ? masking.text(type === notification ? 0 : command, type, chunk, start, end) : null;
    this.#message(type, chunk, start, end);
    // Unless another message was delivered in its place, or none.
    if (instead !== null && this.#runStart <= start) this.#instead(chunk, start, end, instead);
    return true;
  }

  /** Masks the rows, or the COPY data, that end at `end`. */
  #maskRows(masking: ResultMasking, chunk: Buffer, end: number): void {
    const start = this.#rowsStart;
    if (start === -1) return;
    this.#rowsStart = -1;
    if (this.discarding) return;
    const command = this.#exchange.current;
    const instead =
      this.#rowsType === dataRow
        ? masking.rows(command, chunk, start, end, this.#row)
        : masking.copied(command, chunk, start, end);
    if (instead !== null) this.#instead(chunk, start, end, instead);
  }

  /** `bytes` are delivered for what stands in the chunk, which belongs to the run at hand. */
  #instead(chunk: Buffer, start: number, end: number, bytes: Buffer): void {
    const command = this.#runCommand;
    this.#flushRun(chunk, start);
    if (command !== any) this.#command = command;
    if (!this.discarding && bytes.length > 0) this.#deliver(this.#gate.output(this.#command, bytes), false);
    this.#runStart = end;
    this.#runCommand = command;
  }

  /** Goes on with the message at `position` when masking knows what it needs. */
  #wait(masking: ResultMasking, chunk: Buffer, position: number): void {
    this.#flushRun(chunk, position);
    this.#held.push(Buffer.from(chunk.subarray(position)));
    this.#waiting = true;
    masking.whenKnown((error) =>
      this.#awake(() => {
        if (error !== null) throw error;
        const held = Buffer.concat(this.#held);
        this.#held = [];
        this.#waiting = false;
        this.receive(held);
      }),
    );
  }

  #answer(type: number, chunk: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    switch (type) {
      case parseComplete:
        return exchange.parseComplete();
      case bindComplete:
        return exchange.bindComplete();
      case closeComplete:
        return exchange.closeComplete();
      case rowDescription:
      case noData:
        if (!exchange.described()) this.#instead(chunk, start, end, nothing);
        return;
      case parameterDescription:
        return exchange.parameterDescription();
      case emptyQuery:
        return exchange.commandComplete('');
      case portalSuspended:
        return exchange.portalSuspended();
      case functionResponse:
        return exchange.functionCallResponse();
      case copyInResponse:
        return exchange.copyInResponse();
      case copyOutResponse:
        return exchange.copyOutResponse();
      default:
        // CopyBothResponse among them: it begins a replication stream.
        throw unexpected(type);
    }
  }

  #error(chunk: Buffer, start: number, end: number): void {
    const command = this.#exchange.current;
    const instead = this.#exchange.errorResponse(sqlstateOf(chunk, start + headerBytes, end));
    if (instead === null) {
      this.#attribute(command || any, chunk, start);
      return;
    }
    this.#flushRun(chunk, start);
    if (!this.discarding) this.#deliver(this.#gate.output(0, instead), false);
    this.#runStart = end;
  }

  /** The message at `position` belongs to `command`; the run before it ends there if it is another's. */
  #attribute(command: number, chunk: Buffer, position: number): void {
    if (command === any || command === this.#runCommand) return;
    if (this.#runCommand !== any) this.#flushRun(chunk, position);
    this.#runCommand = command;
  }

  #flushRun(chunk: Buffer, end: number): void {
    if (end > this.#runStart) {
      if (this.#runCommand !== any) this.#command = this.#runCommand;
      const whole = this.#runStart === 0 && end === chunk.length;
      const run = whole ? chunk : chunk.subarray(this.#runStart, end);
      if (!this.discarding) this.#deliver(this.#gate.output(this.#command, run), this.#passing > 0);
    }
    this.#runStart = end;
    this.#runCommand = any;
  }

  #tagOf(chunk: Buffer, start: number, end: number): string {
    const known = this.#tagBytes;
    if (chunk[end - 1] !== 0) throw unexpected(commandComplete);
    if (known.length !== end - 1 - start || !sameBytes(known, chunk, start)) {
      this.#tagBytes = Buffer.from(chunk.subarray(start, end - 1));
      this.#tag = this.#tagBytes.toString('utf8');
    }
    return this.#tag;
  }
}

const nothing: Buffer = Buffer.alloc(0);
const idle = 0x49;

const passes = (type: number): boolean => type === dataRow || type === copyData || type === functionResponse;

function sameBytes(known: Buffer, chunk: Buffer, start: number): boolean {
  for (let i = 0; i < known.length; i++) if (known[i] !== chunk[start + i]) return false;
  return true;
}

/** Legal lengths by type byte: a look-up in a map costs more than the rest of a short message. */
const shortest = new Uint8Array(256);
const longest = new Uint32Array(256);
for (const [type, limit] of limits) {
  shortest[type] = type === copyData ? 4 : 5;
  longest[type] = limit;
}
for (const type of bodyless) {
  shortest[type] = 4;
  longest[type] = 4;
}
shortest[readyForQuery] = 5;
longest[readyForQuery] = 5;

/** Every message that is accepted of a target after start-up, by type byte; some are refused when they are looked at. */
export const acceptedTypes: ReadonlySet<number> = new Set([...limits.keys(), ...bodyless, readyForQuery]);

/** Before anything is allocated. @throws PostgresError */
function checkedLength(type: number, length: number): number {
  if (length >= shortest[type]! && length <= longest[type]!) return length;
  const limit = limits.get(type);
  if (limit === undefined) throw unexpected(type);
  if (length < shortest[type]!) {
    throw new PostgresError('postgres-malformed-message', 'the target sent a message of impossible length');
  }
  throw new PostgresError('postgres-message-too-large', 'the target sent a message over its limit');
}

function statusOf(status: number): number {
  if (status !== 0x49 && status !== 0x54 && status !== 0x45) throw unexpected(readyForQuery);
  return status;
}

const unexpected = (type: number): PostgresError =>
  new PostgresError(
    'postgres-unexpected-message',
    `the target sent a message of type 0x${type.toString(16).padStart(2, '0')} that is not legal here`,
  );
