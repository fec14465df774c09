/**
 * The client's packets: each request is decided before it passes; READ and WRITE by the handle that they name, which was
 * decided when it was opened. What is refused is answered here, what has to wait for people waits alone. See `exchange.ts`.
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import type { ConnectionGate, FinalVerdict, GivenCommand } from '../../../gate/gate.ts';
import type { CommandFacts } from '../../../model/command-facts.ts';
import { denialText } from '../files/held-files.ts';
import type { HeldFiles } from '../files/held-files.ts';
import { SftpError } from './error.ts';
import type { PacketJudge } from './framing.ts';
import type { Handle, Handles } from './handles.ts';
import { unknownHandle } from './operations.ts';
import type { Operation, Operations } from './operations.ts';
import type { Outstanding, OutstandingRequests } from './outstanding.ts';
import {
  codeName,
  encodePacket,
  encodeStatus,
  fxFailure,
  Fxp,
  fxPermissionDenied,
  longestHandleBytes,
  longestRequestBytes,
  protocolVersion,
  uint32,
} from './packets.ts';

export interface RequestsOptions {
  readonly gate: ConnectionGate;
  readonly operations: Operations;
  readonly handles: Handles;
  readonly outstanding: OutstandingRequests;
  readonly held: HeldFiles;
  /** Sends a packet between those that pass. */
  readonly toTarget: (packet: Buffer) => void;
  readonly toClient: (packet: Buffer) => void;
  /** Takes a line for the person. */
  /** A line for the person, without who speaks. */
  readonly tell: (line: string) => void;
}

/** Length, type, id. */
const headBytes = 9;
const blocked = { kind: 'blocked', tag: null, rows: 0, errorCode: codeName(fxPermissionDenied) } as const;

/** One that policy was asked about. */
interface Asked extends GivenCommand {
  readonly id: number;
  readonly operation: Operation;
  readonly text: Buffer;
  readonly facts: CommandFacts;
}
type Denial = FinalVerdict & { readonly kind: 'deny' };

export class Requests implements PacketJudge {
  /** `ready`: the target has answered INIT. */
  phase: 'new' | 'initializing' | 'ready' = 'new';
  readonly #options: RequestsOptions;
  /** Of the WRITE that is passing. */
  #writing: Handle | null = null;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  head(bytes: Buffer, start: number, available: number, length: number): number {
    const whole = length + 4;
    if (bytes[start + 4] !== Fxp.write) {
      if (length > longestRequestBytes)
        throw new SftpError('sftp-packet-too-large', `a request is longer than ${longestRequestBytes} bytes`);
      return whole;
    }
    if (available < headBytes + 4) return Math.min(whole, headBytes + 4);
    const handleBytes = bytes.readUInt32BE(start + headBytes);
    if (handleBytes > longestHandleBytes)
      throw new SftpError('sftp-malformed-packet', 'a handle is longer than the protocol allows');
    return Math.min(whole, headBytes + 4 + handleBytes + 8 + 4);
  }

  take(bytes: Buffer, start: number, head: number): boolean {
    const type = bytes[start + 4]!;
    if (this.phase !== 'ready') return this.#initialize(type, bytes, start, head);
    if (head < headBytes) throw new SftpError('sftp-malformed-packet', 'a request without an id');
    const id = bytes.readUInt32BE(start + 5);
    this.#options.outstanding.expectUnused(id);
    switch (type) {
      case Fxp.write:
        return this.#write(id, bytes, start, head);
      case Fxp.read:
        return this.#read(id, bytes, start, head);
      case Fxp.close:
      case Fxp.readdir:
        return this.#onHandle(id, type, bytes, start, head);
      default:
        return this.#decide(id, type, bytes, start, head);
    }
  }

  payload(bytes: Buffer, start: number, end: number): void {
    this.#writing?.written.add(bytes, start, end);
  }

  /** Whatever the client offers, the target is asked for version 3. */
  #initialize(type: number, bytes: Buffer, start: number, head: number): boolean {
    if (this.phase !== 'new' || type !== Fxp.init)
      throw new SftpError('sftp-unexpected-packet', 'a request before the version was agreed');
    if (head < headBytes) throw new SftpError('sftp-malformed-packet', 'INIT without a version');
    if (bytes.readUInt32BE(start + 5) < protocolVersion)
      throw new SftpError('sftp-unsupported-version', 'the client does not speak SFTP version 3');
    this.phase = 'initializing';
    this.#options.toTarget(encodePacket(Fxp.init, uint32(protocolVersion)));
    return false;
  }

  #write(id: number, bytes: Buffer, start: number, head: number): boolean {
    const handleEnd = head - 12;
    const dataBytes = bytes.readUInt32BE(start) + 4 - head;
    if (!handleEnds(bytes, start, handleEnd) || dataBytes !== bytes.readUInt32BE(start + head - 4))
      throw new SftpError('sftp-malformed-packet', 'WRITE is not as long as its fields');
    const handle = this.#options.handles.find(bytes, start + headBytes + 4, start + handleEnd);
    if (handle === null) return this.#refuse(id, unknownHandle.code, unknownHandle.message);
    if (!handle.opening.writes) return this.#refuse(id, fxPermissionDenied, notOpenForThis);
    this.#forward(id, { ...nothing, handle });
    this.#writing = handle;
    handle.written.begin(uint64(bytes, start + handleEnd), dataBytes);
    return true;
  }

  #read(id: number, bytes: Buffer, start: number, head: number): boolean {
    const handleEnd = head - 12;
    if (!handleEnds(bytes, start, handleEnd))
      throw new SftpError('sftp-malformed-packet', 'READ is not as long as its fields');
    const handle = this.#options.handles.find(bytes, start + headBytes + 4, start + handleEnd);
    if (handle === null) return this.#refuse(id, unknownHandle.code, unknownHandle.message);
    if (!handle.opening.reads) return this.#refuse(id, fxPermissionDenied, notOpenForThis);
    const offset = uint64(bytes, start + handleEnd);
    const length = bytes.readUInt32BE(start + head - 4);
    this.#forward(id, { ...nothing, answer: Fxp.data, handle, offset, length });
    return true;
  }

  /** CLOSE or READDIR. */
  #onHandle(id: number, type: number, bytes: Buffer, start: number, head: number): boolean {
    const { handles } = this.#options;
    if (!handleEnds(bytes, start, head))
      throw new SftpError('sftp-malformed-packet', 'a request is not as long as its handle');
    const handle = handles.find(bytes, start + headBytes + 4, start + head);
    if (handle === null) return this.#refuse(id, unknownHandle.code, unknownHandle.message);
    if (type === Fxp.close) {
      handles.remove(handle);
      this.#forward(id, { ...nothing, handle, closes: true });
      return true;
    }
    if (!handle.opening.directory) return this.#refuse(id, fxPermissionDenied, notOpenForThis);
    this.#forward(id, { ...nothing, answer: Fxp.name, handle });
    return true;
  }

  #decide(id: number, type: number, bytes: Buffer, start: number, head: number): boolean {
    const { operations, handles, gate } = this.#options;
    const reader = new BoundedReader(bytes, start + headBytes, start + head);
    const operation = operations.decode(type, reader);
    if (operation.kind === 'refused') return this.#refuse(id, operation.code, operation.message);
    reader.finish();
    if (operation.opening !== null && handles.full)
      return this.#refuse(id, fxFailure, 'too many files are open');
    const { kind, facts } = operation;
    // What needs a review to be read may be looked at, so that people are asked about the transfer alone.
    if (facts === null || (kind === 'question' && gate.verdictOn(facts) !== 'deny')) {
      this.#pass(id, operation, 0);
      return true;
    }
    const command = gate.nextCommand();
    const asked: Asked = { id, operation, command, text: operation.text(), parameters: null, facts };
    const verdict = gate.command(command, asked.text, null, facts);
    if (verdict.kind === 'deny') return this.#denied(asked, verdict, null);
    if (verdict.kind === 'review') return this.#hold(asked, bytes.subarray(start, start + head));
    this.#pass(id, operation, command);
    return true;
  }

  #hold(asked: Asked, request: Buffer): false {
    const { held, gate, outstanding, handles } = this.#options;
    if (held.full) {
      gate.withheld(asked);
      gate.outcome(asked.command, { ...blocked, errorCode: codeName(fxFailure) });
      return this.#refuse(asked.id, fxFailure, 'too many requests wait for reviews');
    }
    const packet = Buffer.from(request);
    outstanding.hold(asked.id);
    if (asked.operation.opening !== null) handles.awaited++;
    const decided = (verdict: FinalVerdict, review: string | null): void => {
      outstanding.release(asked.id);
      if (asked.operation.opening !== null) handles.awaited--;
      if (verdict.kind === 'deny') this.#denied(asked, verdict, review);
      else this.#approved(asked, packet);
    };
    held.add({ ...asked, decided });
    return false;
  }

  /** The target may have given out the bytes of a handle anew that was closed meanwhile. */
  #approved({ id, command, operation }: Asked, packet: Buffer): void {
    const { handles, gate, toTarget } = this.#options;
    if ([operation.handle, operation.from].some((handle) => handle !== null && !handles.has(handle))) {
      gate.outcome(command, { kind: 'failed', tag: null, rows: 0, errorCode: codeName(fxFailure) });
      this.#refuse(id, unknownHandle.code, unknownHandle.message);
      return;
    }
    this.#pass(id, operation, command);
    toTarget(packet);
  }

  #pass(id: number, { answer, opening, handle, from }: Operation, command: number): void {
    if (opening !== null) this.#options.handles.awaited++;
    if (handle !== null && from !== null) handle.copied = true;
    this.#forward(id, { ...nothing, answer, command, opening, handle });
  }

  #forward(id: number, request: Outstanding): void {
    if (request.handle !== null) request.handle.pending++;
    this.#options.outstanding.add(id, request);
  }

  #denied({ id, command, text }: Asked, verdict: Denial, review: string | null): false {
    const why = denialText(verdict, review);
    this.#options.gate.outcome(command, blocked);
    this.#options.tell(`${text.toString()}: ${why}`);
    return this.#refuse(id, fxPermissionDenied, why);
  }

  /** Answers in the target's place. */
  #refuse(id: number, code: number, message: string): false {
    this.#writing = null;
    this.#options.toClient(encodeStatus(id, code, message));
    return false;
  }
}

const notOpenForThis = 'handle is not open for this';

const nothing: Outstanding = {
  answer: Fxp.status,
  command: 0,
  handle: null,
  opening: null,
  closes: false,
  offset: 0,
  length: 0,
};

const uint64 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);

/** The handle behind the id takes exactly the bytes up to `end`, which counts from `start`. */
const handleEnds = (bytes: Buffer, start: number, end: number): boolean =>
  end >= headBytes + 4 && bytes.readUInt32BE(start + headBytes) === end - headBytes - 4;
