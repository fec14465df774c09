/**
 * The client's messages after start-up, client to target
 * (https://www.postgresql.org/docs/current/protocol-flow.html): framed in place over the received chunk, checked for
 * length and legality before anything is allocated, decided and recorded by the gate, then forwarded; a chunk in which
 * nothing is refused leaves as it came. CopyData of any size passes in pieces; everything else is looked at whole.
 *
 * A refused message is replaced by a harmless one that fails at the target, and the target's error by the refusal's
 * own: so the transaction, the pipeline and ReadyForQuery are exactly what PostgreSQL makes of a failed command, and
 * the refused one never left.
 */
import { randomBytes } from 'node:crypto';
import { Gathering } from '../../bytes/gathering.ts';
import type { ConnectionGate, ReviewListener } from '../../gate/gate.ts';
import { unknownFacts } from '../../model/command-facts.ts';
import { deniedSqlstate, limitSqlstate, PostgresError } from './error.ts';
import type { Exchange } from './exchange.ts';
import { encodeErrorResponse } from './messages/error.ts';
import { cstring, encodeMessage, headerBytes, maximumLength } from './messages/frame.ts';
import { decodeParse } from './messages/query.ts';
import { Slot } from './pipeline.ts';
import { checkName, deallocatedName, mightRename } from './prepared-statements.ts';
import type { Found } from './prepared-statements.ts';

/** Message types, as ASCII. */
const B = 0x42, C = 0x43, D = 0x44, E = 0x45, F = 0x46, H = 0x48, P = 0x50, Q = 0x51, S = 0x53, X = 0x58; // prettier-ignore
const copyData = 0x64, copyDone = 0x63, copyFail = 0x66; // prettier-ignore

/** Longest Query, Parse, Bind, FunctionCall that is served; longer ones are refused and the connection goes on. */
export const defaultMessageLimit = 64 * 1024 * 1024 + 64 * 1024;
const smallLimit = 8192;
const copyFailLimit = 65_536;
/** Prepared statements of a connection: each costs memory here, and far more at the target. */
const statementsLimit = 65_536;

/** A syntax error in every state of a transaction, readable in the target's log. */
const failingQuery = encodeMessage('Q', cstring('refused by hoop'));
/** Makes the target send the answers that it has. */
const flush = encodeMessage('H');
/** Fails in every state: nobody can prepare a statement of this name, which is new each time. */
const failingDescribe = (): Buffer =>
  encodeMessage('D', Buffer.from('S'), cstring(`refused by hoop ${randomBytes(16).toString('hex')}`));

export interface FrontendOptions {
  readonly gate: ConnectionGate;
  readonly exchange: Exchange;
  /** Takes bytes for the target, in order. */
  readonly forward: (bytes: Buffer) => void;
  /** The client said Terminate: nothing follows. */
  readonly onTerminate: () => void;
  readonly messageLimit: number;
}

export class Frontend {
  readonly #gate: ConnectionGate;
  readonly #exchange: Exchange;
  readonly #options: FrontendOptions;
  /** A message that did not come whole: its header first, then all of it. */
  #gathering: Gathering | null = null;
  /** Bytes still to come of a message that passes in pieces, or of one that was refused for its length. */
  #passing = 0;
  #discarding = 0;
  /** Waits for the target's answers; see `resume`. */
  #held: Buffer | null = null;
  /** What is held waits for answers to its own segment. */
  #flushed = false;
  #terminated = false;
  /** Of the chunk at hand: what is not yet forwarded starts here; and the same for the record of a COPY. */
  #runStart = 0;
  #inputStart = -1;
  /** Segment in which a message of the extended protocol was refused last. */
  #refusedSegment = -1;
  /** The message at hand: `#bytes` from `#start` to `#end`. */
  #bytes: Buffer = failingQuery;
  #start = 0;
  #end = 0;

  constructor(options: FrontendOptions) {
    this.#options = options;
    this.#gate = options.gate;
    this.#exchange = options.exchange;
  }

  /** No more may be fed until `resume` has returned true. */
  get held(): boolean {
    return this.#held !== null || this.#exchange.full;
  }

  get terminated(): boolean {
    return this.#terminated;
  }

  /** Takes what the client sent. @throws PostgresError, BytesError */
  receive(chunk: Buffer): void {
    if (this.#terminated) return;
    if (this.#held !== null) this.#held = Buffer.concat([this.#held, chunk]);
    else this.#process(chunk);
  }

  /** Answers have come: goes on with what was held; true when nothing is held any more. */
  resume(): boolean {
    const held = this.#held;
    const { settled, statements } = this.#exchange;
    if (held !== null && (settled || (!this.#flushed && !statements.unsettled))) {
      this.#held = null;
      this.#flushed = false;
      this.#process(held);
    }
    return !this.held;
  }

  #process(chunk: Buffer): void {
    let position = this.#continue(chunk);
    this.#runStart = position;
    while (position < chunk.length && !this.#terminated) {
      const available = chunk.length - position;
      if (available < headerBytes) {
        this.#flushRun(chunk, position);
        this.#gathering = new Gathering(headerBytes);
        this.#gathering.add(chunk, position);
        return;
      }
      const type = chunk[position]!;
      const length = chunk.readUInt32BE(position + 1);
      const end = position + 1 + length;
      if (!this.#mayServe(type, length)) {
        this.#refuseLength(chunk, position, type);
        this.#discarding = Math.max(0, end - chunk.length);
        position = Math.min(end, chunk.length);
        this.#runStart = position;
      } else if (end <= chunk.length) {
        if (!this.#message(type, chunk, position, end)) {
          this.#flushRun(chunk, position);
          this.#hold(chunk.subarray(position));
          return;
        }
        position = end;
      } else if (type === copyData) {
        this.#input(position);
        this.#passing = end - chunk.length;
        position = chunk.length;
      } else {
        this.#flushRun(chunk, position);
        this.#gathering = new Gathering(1 + length);
        this.#gathering.add(chunk, position);
        return;
      }
    }
    this.#flushRun(chunk, position);
  }

  /** Goes on with a message that an earlier chunk began; returns where the next one starts. */
  #continue(chunk: Buffer): number {
    let position = 0;
    if (this.#discarding > 0) {
      position = Math.min(this.#discarding, chunk.length);
      this.#discarding -= position;
    } else if (this.#passing > 0) {
      position = Math.min(this.#passing, chunk.length);
      this.#passing -= position;
      this.#runStart = 0;
      this.#input(0);
      this.#flushRun(chunk, position);
    }
    while (this.#gathering !== null && position < chunk.length) {
      position = this.#gathering.add(chunk, position);
      if (this.#gathering.missing > 0) break;
      const gathered = this.#gathering.bytes();
      this.#gathering = null;
      const rest = chunk.subarray(position);
      if (gathered.length === headerBytes && gathered.readUInt32BE(1) !== 4) {
        position = this.#startGathered(gathered, chunk, position);
        if (this.#gathering === null) break;
      } else if (!this.#whole(gathered, rest)) return chunk.length;
    }
    return position;
  }

  /** A header is complete, and its message has a body. */
  #startGathered(header: Buffer, chunk: Buffer, position: number): number {
    const type = header[0]!;
    const length = header.readUInt32BE(1);
    const bodyBytes = length - 4;
    if (!this.#mayServe(type, length)) {
      this.#refuseLength(header, 0, type);
      const skipped = Math.min(bodyBytes, chunk.length - position);
      this.#discarding = bodyBytes - skipped;
      return position + skipped;
    }
    if (type === copyData) {
      this.#runStart = 0;
      this.#input(0);
      this.#flushRun(header, header.length);
      const taken = Math.min(bodyBytes, chunk.length - position);
      this.#passing = bodyBytes - taken;
      this.#runStart = position;
      this.#input(position);
      this.#flushRun(chunk, position + taken);
      return position + taken;
    }
    this.#gathering = new Gathering(1 + length);
    this.#gathering.add(header, 0);
    return position;
  }

  /** A gathered message; false when it must wait, and `rest` with it. */
  #whole(bytes: Buffer, rest: Buffer): boolean {
    const type = bytes[0]!;
    if (!this.#mayServe(type, bytes.length - 1)) return true;
    this.#runStart = 0;
    if (!this.#message(type, bytes, 0, bytes.length)) {
      this.#hold(Buffer.concat([bytes, rest]));
      return false;
    }
    this.#flushRun(bytes, bytes.length);
    return true;
  }

  /**
   * Legality and length, before anything is allocated. False: too long to be served, though PostgreSQL might.
   * @throws PostgresError when it cannot be a message
   */
  #mayServe(type: number, length: number): boolean {
    switch (type) {
      case Q:
      case P:
      case B:
      case F:
        if (length < 5 || length > maximumLength) throw malformed();
        return length <= this.#options.messageLimit;
      case copyData:
        if (length < 4 || length > maximumLength) throw malformed();
        return true;
      case D:
      case E:
      case C:
        if (length < 6 || length > smallLimit) throw malformed();
        return true;
      case copyFail:
        if (length < 5 || length > copyFailLimit) throw malformed();
        return true;
      case H:
      case S:
      case X:
      case copyDone:
        if (length !== 4) throw malformed();
        return true;
      default:
        throw new PostgresError(
          'postgres-unexpected-message',
          `invalid frontend message type 0x${type.toString(16).padStart(2, '0')}`,
        );
    }
  }

  /** One whole message; true when it was dealt with, false when it must wait for answers. */
  #message(type: number, bytes: Buffer, start: number, end: number): boolean {
    if (type !== copyData && type !== copyDone && type !== copyFail) this.#flushInput(bytes, start);
    const body = start + headerBytes;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    switch (type) {
      case Q:
        return this.#query(bytes, body, end);
      case P:
        return this.#parse(bytes, body, end);
      case B:
        return this.#bind(bytes, body, end);
      case E:
        return this.#execute(bytes, body, end);
      case D:
        checkNamed(bytes, body, end);
        this.#exchange.forwarded(Slot.describe, 0);
        return true;
      case C:
        this.#close(bytes, body, end);
        return true;
      case S:
        this.#exchange.forwarded(Slot.sync, 0);
        return true;
      case F:
        return this.#functionCall(bytes, body, end);
      case copyData:
        this.#input(start);
        return true;
      case copyDone:
      case copyFail:
        this.#input(start);
        this.#flushInput(bytes, end);
        this.#exchange.forwarded(Slot.copyEnd, 0);
        return true;
      case X:
        this.#flushRun(bytes, end);
        this.#terminated = true;
        this.#options.onTerminate();
        return true;
      default: // Flush
        return true;
    }
  }

  #query(bytes: Buffer, body: number, end: number): boolean {
    const text = bytes.subarray(body, end - 1);
    if (bytes.indexOf(0, body) !== end - 1) throw malformed();
    const command = this.#gate.nextCommand();
    if (!this.#decide(command, text, null, Slot.refusedQuery)) return true;
    const renames = mightRename(text);
    this.#exchange.started(command, renames ? deallocatedName(text) : null);
    this.#exchange.statements.mightRename();
    this.#exchange.portals.clear();
    this.#exchange.forwarded(Slot.query, command);
    return true;
  }

  #parse(bytes: Buffer, body: number, end: number): boolean {
    const { statement: name, text, parameterTypes } = decodeParse(bytes, body, end);
    checkName(name, 0, name.length);
    const { statements } = this.#exchange;
    if (!statements.mayParse(name) && statements.unsettled) return false;
    if (statements.size >= statementsLimit && name.length > 0) {
      const message = `more than ${statementsLimit} prepared statements, the limit of this relay`;
      this.#flushRun(bytes, this.#start);
      this.#replace(
        Slot.refusedExtended,
        encodeErrorResponse('ERROR', { sqlstate: limitSqlstate, message, hint: null }),
      );
      this.#runStart = this.#end;
      return true;
    }
    const statement = this.#gate.statement(text, parameterTypes, unknownFacts);
    if (mightRename(text)) this.#exchange.renaming.set(statement, deallocatedName(text));
    statements.parse(name, statement);
    this.#exchange.forwarded(Slot.parse, statement);
    return true;
  }

  #bind(bytes: Buffer, body: number, end: number): boolean {
    const portalEnd = terminator(bytes, body, end);
    const nameEnd = terminator(bytes, portalEnd + 1, end);
    checkName(bytes, body, portalEnd);
    checkName(bytes, portalEnd + 1, nameEnd);
    const found = this.#find(bytes, portalEnd + 1, nameEnd);
    if (found === 'unsettled') return false;
    const command = this.#gate.nextCommand();
    const text = found === 'unknown' ? executeText(bytes.toString('latin1', portalEnd + 1, nameEnd)) : found;
    const parameters = bytes.subarray(nameEnd + 1, end);
    if (!this.#decide(command, text, parameters, Slot.refusedExtended)) return true;
    this.#exchange.started(command, found === 'unknown' ? null : this.#renames(found));
    const before = this.#exchange.portals.bind(bytes, body, portalEnd, command);
    if (before !== 0) this.#exchange.replaces(before, command);
    this.#exchange.forwarded(Slot.bind, command);
    return true;
  }

  #find(bytes: Buffer, start: number, end: number): Found {
    const { statements } = this.#exchange;
    const found = statements.find(bytes, start, end);
    if (found !== 'unsettled' || !this.#exchange.settled) return found;
    statements.settled();
    return statements.find(bytes, start, end);
  }

  #hold(bytes: Buffer): void {
    this.#held = bytes;
    this.#flushed = this.#exchange.statements.renamingNow;
    if (this.#flushed) this.#options.forward(Buffer.from(flush));
  }

  /** The portal of this statement may change names when it runs. Returns the one name that it drops. */
  #renames(statement: number): string | null {
    if (this.#exchange.renaming.size === 0) return null;
    const deallocates = this.#exchange.renaming.get(statement);
    if (deallocates === undefined) return null;
    this.#exchange.statements.mightRename();
    this.#exchange.portals.clearNamed();
    return deallocates;
  }

  #execute(bytes: Buffer, body: number, end: number): boolean {
    const nameEnd = terminator(bytes, body, end);
    if (nameEnd + 5 !== end) throw malformed();
    checkName(bytes, body, nameEnd);
    let command = this.#exchange.portals.find(bytes, body, nameEnd);
    if (command === 0 && this.#refusedSegment !== this.#exchange.statements.segment) {
      // A cursor that SQL declared, or one that is not there: a command of its own. Behind a refusal the target skips
      // everything up to Sync.
      command = this.#gate.nextCommand();
      const text = fetchText(bytes.toString('latin1', body, nameEnd), bytes.readInt32BE(nameEnd + 1));
      if (!this.#decide(command, text, null, Slot.refusedExtended)) return true;
      this.#exchange.started(command, null);
    }
    this.#exchange.forwarded(Slot.execute, command);
    return true;
  }

  #close(bytes: Buffer, body: number, end: number): void {
    checkNamed(bytes, body, end);
    checkName(bytes, body + 1, end - 1);
    if (bytes[body] === S) {
      const token = this.#exchange.statements.close(bytes.subarray(body + 1, end - 1));
      this.#exchange.forwarded(Slot.close, token);
    } else {
      this.#exchange.forwarded(Slot.close, this.#exchange.portals.close(bytes, body + 1, end - 1));
    }
  }

  #functionCall(bytes: Buffer, body: number, end: number): boolean {
    if (end - body < 8) throw malformed();
    const command = this.#gate.nextCommand();
    const text = Buffer.from(`fastpath ${bytes.readUInt32BE(body)}`);
    const parameters = bytes.subarray(body + 4, end);
    if (!this.#decide(command, text, parameters, Slot.refusedQuery)) return true;
    this.#exchange.started(command, null);
    this.#exchange.forwarded(Slot.functionCall, command);
    return true;
  }

  /**
   * Asks the gate; true when the message may go. A verdict that waits for people belongs here: it holds this message
   * and what follows (as `held` does), and the rest of the session goes on.
   */
  #decide(command: number, text: Uint8Array | number, parameters: Buffer | null, slot: RefusedSlot): boolean {
    const facts = typeof text === 'number' ? null : unknownFacts;
    const verdict = this.#gate.command(command, text, parameters, facts, noReview);
    if (verdict.kind === 'allow') return true;
    if (verdict.kind === 'review') throw malformed();
    this.#gate.outcome(command, { kind: 'blocked', tag: null, rows: 0, errorCode: deniedSqlstate });
    const error = encodeErrorResponse('ERROR', {
      sqlstate: deniedSqlstate,
      message: 'permission denied by policy',
      hint: verdict.hint,
      policies: verdict.policies,
    });
    this.#flushRun(this.#bytes, this.#start);
    this.#replace(slot, error);
    this.#runStart = this.#end;
    return false;
  }

  #refuseLength(bytes: Buffer, start: number, type: number): void {
    const error = encodeErrorResponse('ERROR', {
      sqlstate: limitSqlstate,
      message: `message is longer than ${this.#options.messageLimit} bytes, the limit of this relay`,
      hint: 'Send large data with COPY, or in several statements.',
    });
    const simple = type === Q || type === F;
    this.#flushRun(bytes, start);
    this.#replace(simple ? Slot.refusedQuery : Slot.refusedExtended, error);
  }

  #replace(slot: RefusedSlot, error: Buffer): void {
    if (slot === Slot.refusedExtended) this.#refusedSegment = this.#exchange.statements.segment;
    this.#exchange.refused(slot, error);
    this.#options.forward(slot === Slot.refusedQuery ? Buffer.from(failingQuery) : failingDescribe());
  }

  #input(start: number): void {
    if (this.#inputStart === -1) this.#inputStart = start;
  }

  #flushInput(bytes: Buffer, end: number): void {
    if (this.#inputStart === -1) return;
    this.#gate.input(this.#exchange.copyCommand, bytes.subarray(this.#inputStart, end));
    this.#inputStart = -1;
  }

  /** Forwards what was accepted of this chunk so far. */
  #flushRun(bytes: Buffer, end: number): void {
    this.#flushInput(bytes, end);
    if (end > this.#runStart) {
      const whole = this.#runStart === 0 && end === bytes.length;
      this.#options.forward(whole ? bytes : bytes.subarray(this.#runStart, end));
    }
    this.#runStart = end;
  }
}

type RefusedSlot = typeof Slot.refusedQuery | typeof Slot.refusedExtended;

const noReview: ReviewListener = { held: () => undefined, decided: () => undefined };

const malformed = (): PostgresError =>
  new PostgresError('postgres-malformed-message', 'invalid frontend message');

/** Position of the NUL that ends a string, within the message. */
function terminator(bytes: Buffer, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === 0) return i;
  throw malformed();
}

/** Describe and Close: `S` or `P`, then a name to the end. */
function checkNamed(bytes: Buffer, body: number, end: number): void {
  const kind = bytes[body];
  if ((kind !== S && kind !== P) || terminator(bytes, body + 1, end) !== end - 1) throw malformed();
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQL for what is not known by its text: a statement that SQL prepared, and a cursor that SQL declared. */
const executeText = (name: string): Buffer => Buffer.from(`EXECUTE ${quoted(name)}`, 'latin1');
const fetchText = (name: string, rows: number): Buffer =>
  Buffer.from(`FETCH ${rows > 0 ? rows : 'ALL'} FROM ${quoted(name)}`, 'latin1');
