/**
 * The client's messages after start-up, client to target
 * (https://www.postgresql.org/docs/current/protocol-flow.html): framed in place over the received chunk, checked for
 * length and legality before anything is allocated, decided and recorded (`commands.ts`), then forwarded; a chunk in
 * which nothing is refused leaves as it came. CopyData of any size passes in pieces; everything else is looked at whole.
 * What is refused is replaced (`refusals.ts`); what has to wait makes everything behind it wait.
 */
import { Gathering } from '../../bytes/gathering.ts';
import type { ConnectionGate, FinalVerdict, ReviewNotice } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { ResultMasking } from './masking/result-masking.ts';
import { Commands, malformed, Passage } from './commands.ts';
import type { Ruling } from './commands.ts';
import { PostgresError } from './error.ts';
import type { Exchange } from './exchange.ts';
import { HeldMessages } from './held-messages.ts';
import { encodeReviewNotice } from './messages/error.ts';
import { encodeMessage, headerBytes, maximumLength } from './messages/frame.ts';
import { Slot } from './pipeline.ts';
import { refuse, tooLong } from './refusals.ts';

/** Message types, as ASCII. */
const B = 0x42, C = 0x43, D = 0x44, E = 0x45, F = 0x46, H = 0x48, P = 0x50, Q = 0x51, S = 0x53, X = 0x58; // prettier-ignore
const copyData = 0x64, copyDone = 0x63, copyFail = 0x66; // prettier-ignore

/** Longest Query, Parse, Bind, FunctionCall that is served; longer ones are refused and the connection goes on. */
export const defaultMessageLimit = 64 * 1024 * 1024 + 64 * 1024;
const smallLimit = 8192;
const copyFailLimit = 65_536;
/** What may be sent behind a held command before the client is made to wait; longer messages are held all the same. */
const heldLimit = 1024 * 1024;

/** Makes the target send the answers that it has. */
const flush = encodeMessage('H');

export interface FrontendOptions {
  readonly gate: ConnectionGate;
  readonly exchange: Exchange;
  readonly classify: (text: Uint8Array) => CommandFacts;
  readonly classifyParsed: (text: Uint8Array) => CommandFacts;
  /** Takes bytes for the target, in order. */
  readonly forward: (bytes: Buffer) => void;
  /** Takes a message for the client. */
  readonly tell: (message: Buffer) => void;
  /** Runs what happens outside of `receive` and `resume`: what it throws ends the connection. */
  readonly awake: (work: () => void) => void;
  /** The client said Terminate: nothing follows. */
  readonly onTerminate: () => void;
  /** The client is there and hears answers. */
  readonly attended: () => boolean;
  /** Null: nothing is masked. */
  readonly masking: ResultMasking | null;
  readonly messageLimit: number;
}

export class Frontend {
  readonly #gate: ConnectionGate;
  readonly #exchange: Exchange;
  readonly #commands: Commands;
  readonly #options: FrontendOptions;
  /** A message that did not come whole: its header first, then all of it. */
  #gathering: Gathering | null = null;
  /** Bytes still to come of a message that passes in pieces, or of one that was refused for its length. */
  #passing = 0;
  #discarding = 0;
  /** Waits for the target's answers, or for people; see `resume` and `#ruled`. */
  #held: HeldMessages | null = null;
  /** What is held waits for what masking has to know. */
  #lookingUp = false;
  /** What is held waits until everything is answered. */
  #settling = false;
  #terminated = false;
  /** Nothing more is taken of the client: it said Terminate, or left while something waited. */
  #over = false;
  /** A Terminate stands behind what is looked at. */
  #leaving = false;
  /** Of the chunk at hand: what is not yet forwarded starts here; and the same for the record of a COPY. */
  #runStart = 0;
  #inputStart = -1;

  constructor(options: FrontendOptions) {
    this.#options = options;
    this.#gate = options.gate;
    this.#exchange = options.exchange;
    this.#commands = new Commands({
      ...options,
      again: () => options.awake(() => this.#goOnIfHeld()),
      mayWait: () => !this.#leaving && options.attended(),
      listener: {
        held: (notice) => options.awake(() => this.#tell(notice)),
        decided: (verdict: FinalVerdict) => options.awake(() => this.#ruled(verdict)),
      },
    });
  }

  /** Something waits that the client has sent. */
  get held(): boolean {
    return this.#held !== null || this.#exchange.full;
  }

  /** The client should be made to wait. While a command is held for people it need not, within bounds: it may leave. */
  get blocked(): boolean {
    if (this.#held === null || this.#exchange.full) return this.#exchange.full;
    return !(this.#settling || this.inReview) || this.#held.bytes > heldLimit;
  }

  /** People are asked about a command. */
  get inReview(): boolean {
    return this.#commands.held !== 0;
  }

  get terminated(): boolean {
    return this.#terminated;
  }

  /** Takes what the client sent. @throws PostgresError, BytesError */
  receive(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#held === null) {
      this.#process(chunk);
      return;
    }
    this.#held.add(chunk);
    this.#leaveIfTerminated();
  }

  /** Answers have come: goes on with what was held; true when nothing is held any more. */
  resume(): boolean {
    const { settled, statements } = this.#exchange;
    if (
      this.#held !== null &&
      !this.inReview &&
      !this.#lookingUp &&
      (settled || (!this.#settling && !statements.unsettled))
    )
      this.#goOn();
    return !this.held;
  }

  /** A cancel request of the client. True: it was for the held command, which ends by it. */
  cancel(): boolean {
    const command = this.#commands.held;
    if (command === 0) return false;
    this.#options.awake(() => {
      this.#gate.withdraw(command, 'cancelled');
      this.#ruled({ kind: 'cancel' });
    });
    return true;
  }

  /** Gives up the held command, and everything that was sent behind it. */
  leave(why: 'disconnected' | 'session-ended'): void {
    if (!this.#commands.pending) return;
    this.#commands.leave(why);
    this.#held = null;
    this.#over = true;
  }

  #ruled(ruling: Ruling): void {
    this.#commands.ruled(ruling);
    this.#goOn();
  }

  #goOnIfHeld(): void {
    this.#lookingUp = false;
    if (this.#held !== null) this.#goOn();
  }

  #goOn(): void {
    const held = this.#held!;
    this.#held = null;
    this.#settling = false;
    this.#leaving = held.terminated;
    this.#process(held.take());
    this.#leaving = false;
  }

  #tell(notice: ReviewNotice): void {
    this.#commands.told(notice.review);
    this.#options.tell(encodeReviewNotice(notice));
  }

  #leaveIfTerminated(): void {
    if (!this.inReview || this.#held?.terminated !== true) return;
    this.leave('disconnected');
    this.#terminate();
  }

  #terminate(): void {
    this.#terminated = true;
    this.#over = true;
    this.#options.onTerminate();
  }

  #process(chunk: Buffer): void {
    let position = this.#continue(chunk);
    this.#runStart = position;
    while (position < chunk.length && !this.#over) {
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
        const passage = this.#message(type, chunk, position, end);
        if (passage !== Passage.forward && this.#divert(passage, chunk, position, end)) {
          this.#hold(passage, chunk.subarray(position));
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
    const passage = this.#message(type, bytes, 0, bytes.length);
    if (passage !== Passage.forward && this.#divert(passage, bytes, 0, bytes.length)) {
      this.#hold(passage, Buffer.concat([bytes, rest]));
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

  #message(type: number, bytes: Buffer, start: number, end: number): Passage {
    if (type !== copyData && type !== copyDone && type !== copyFail) this.#flushInput(bytes, start);
    const body = start + headerBytes;
    const commands = this.#commands;
    switch (type) {
      case Q:
        return commands.query(bytes, body, end);
      case P:
        return commands.parse(bytes, body, end);
      case B:
        return commands.bind(bytes, body, end);
      case E:
        return commands.execute(bytes, body, end);
      case D:
        return commands.describe(bytes, body, end);
      case C:
        return commands.close(bytes, body, end);
      case S:
        this.#exchange.forwarded(Slot.sync, 0);
        return Passage.forward;
      case F:
        return commands.functionCall(bytes, body, end);
      case copyData:
        this.#input(start);
        return Passage.forward;
      case copyDone:
      case copyFail:
        this.#input(start);
        this.#flushInput(bytes, end);
        this.#exchange.forwarded(Slot.copyEnd, 0);
        return Passage.forward;
      case X:
        this.#flushRun(bytes, end);
        this.#terminate();
        return Passage.forward;
      default: // Flush
        return Passage.forward;
    }
  }

  /** A message that does not go as it came. True: it has to wait. */
  #divert(passage: Passage, bytes: Buffer, start: number, end: number): boolean {
    this.#flushRun(bytes, start);
    if (passage === Passage.describe) {
      this.#options.forward(this.#commands.inquiry!);
      return false;
    }
    if (passage === Passage.refuse) this.#replace();
    else if (passage === Passage.end) {
      this.#over = true;
      if (this.#leaving) this.#terminate();
    } else if (passage !== Passage.drop) return true;
    this.#runStart = end;
    return false;
  }

  #replace(): void {
    const { slot, error } = this.#commands.refusal!;
    this.#options.forward(refuse(this.#exchange, slot, error));
  }

  #hold(passage: Passage, bytes: Buffer): void {
    this.#held = new HeldMessages(bytes);
    this.#lookingUp = passage === Passage.lookup;
    if (passage === Passage.review) this.#leaveIfTerminated();
    else if (this.#lookingUp) return;
    else {
      this.#settling = passage === Passage.settle || this.#exchange.statements.renamingNow;
      if (this.#settling) this.#options.forward(flush);
    }
  }

  #refuseLength(bytes: Buffer, start: number, type: number): void {
    const slot = type === Q || type === F ? Slot.refusedQuery : Slot.refusedExtended;
    this.#flushRun(bytes, start);
    this.#commands.refuse(slot, tooLong(this.#options.messageLimit));
    this.#replace();
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
