/**
 * The target's packets: each has to answer a request that was passed on, with a type that this request may be answered with,
 * and passes as it came. Commands get their outcomes here. See `exchange.ts`.
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import type { ConnectionGate } from '../../../gate/gate.ts';
import type { EarlyBytes } from '../files/transferred-bytes.ts';
import { SftpError } from './error.ts';
import type { PacketJudge } from './framing.ts';
import { Handle } from './handles.ts';
import type { Handles } from './handles.ts';
import type { Outstanding, OutstandingRequests } from './outstanding.ts';
import { codeName, encodePacket, extensions, fxEof, fxOk, Fxp, longestHandleBytes } from './packets.ts';
import {
  longestPacketBytes,
  protocolVersion,
  string,
  takeAttributes,
  takeName,
  takeString,
  uint32,
} from './packets.ts';

export interface RepliesOptions {
  readonly gate: ConnectionGate;
  readonly handles: Handles;
  readonly outstanding: OutstandingRequests;
  readonly budget: EarlyBytes;
  /** As far as the client has come. */
  readonly phase: () => 'new' | 'initializing' | 'ready';
  /** What the target says is `.`; null: it does not say. */
  readonly started: (home: string | null) => void;
  readonly toTarget: (packet: Buffer) => void;
  readonly toClient: (packet: Buffer) => void;
}

/** Length, type, id, length of the data. */
const dataHeadBytes = 13;
const headBytes = 9;
/** Id of the one request of our own; the client has made none yet. */
const homeId = 0x686f6f70;

export class Replies implements PacketJudge {
  readonly #options: RepliesOptions;
  /** What the client is told of the version, while the target is asked where it stands. */
  #version: Buffer | null = null;
  /** Of the DATA that is passing, and what of it is still to come. */
  #reading: Handle | null = null;
  #missing = 0;

  constructor(options: RepliesOptions) {
    this.#options = options;
  }

  head(bytes: Buffer, start: number, _available: number, length: number): number {
    return bytes[start + 4] === Fxp.data ? Math.min(length + 4, dataHeadBytes) : length + 4;
  }

  take(bytes: Buffer, start: number, head: number): boolean {
    const type = bytes[start + 4]!;
    if (head < headBytes) throw new SftpError('sftp-malformed-packet', 'an answer without an id');
    const id = bytes.readUInt32BE(start + 5);
    const phase = this.#options.phase();
    if (phase === 'new')
      throw new SftpError('sftp-unexpected-packet', 'the target spoke before it was asked anything');
    if (phase === 'initializing') {
      const reader = new BoundedReader(bytes, start + headBytes, start + head);
      if (this.#version === null) this.#agree(type, id, reader);
      else this.#learnHome(type, id, reader);
      return false;
    }
    const request = this.#options.outstanding.get(id);
    if (type !== Fxp.status && type !== request.answer)
      throw new SftpError('sftp-unexpected-packet', `the target answered with a packet of type ${type}`);
    if (type === Fxp.data) this.#data(request, bytes, start, head);
    else this.#answer(request, type, new BoundedReader(bytes, start + headBytes, start + head));
    // Not before it was understood: what fails there is still without an answer.
    this.#options.outstanding.release(id);
    return true;
  }

  payload(bytes: Buffer, start: number, end: number): void {
    const handle = this.#reading!;
    handle.read.add(bytes, start, end);
    this.#missing -= end - start;
    if (this.#missing === 0) this.#answered(handle);
  }

  /** VERSION; the client hears of it when it is known where relative paths begin. */
  #agree(type: number, version: number, reader: BoundedReader): void {
    if (type !== Fxp.version)
      throw new SftpError('sftp-unexpected-packet', 'the target did not answer INIT with VERSION');
    if (version !== protocolVersion)
      throw new SftpError('sftp-unsupported-version', 'the target does not speak SFTP version 3');
    const offered: Buffer[] = [];
    while (reader.remaining > 0) {
      const [name, data] = [takeString(reader), takeString(reader)];
      if (extensions.get(name.toString('latin1')) === data.toString('latin1'))
        offered.push(string(name), string(data));
    }
    this.#version = encodePacket(Fxp.version, uint32(protocolVersion), ...offered);
    this.#options.toTarget(encodePacket(Fxp.realpath, uint32(homeId), string('.')));
  }

  #learnHome(type: number, id: number, reader: BoundedReader): void {
    if (id !== homeId || (type !== Fxp.name && type !== Fxp.status))
      throw new SftpError('sftp-unexpected-packet', 'the target did not answer where it stands');
    const named = type === Fxp.name && reader.uint32() === 1 ? takeName(reader).toString() : '';
    this.#options.started(named.startsWith('/') && !named.includes('\0') ? named : null);
    this.#options.toClient(this.#version!);
  }

  #data(request: Outstanding, bytes: Buffer, start: number, head: number): void {
    const length = bytes.readUInt32BE(start) - headBytes;
    if (head < dataHeadBytes || bytes.readUInt32BE(start + headBytes) !== length)
      throw new SftpError('sftp-malformed-packet', 'DATA is not as long as its fields');
    if (length > request.length || length > longestPacketBytes)
      throw new SftpError('sftp-unexpected-packet', 'the target sent more than was read');
    const handle = request.handle!;
    this.#reading = handle;
    this.#missing = length;
    handle.read.begin(request.offset, length);
    if (length === 0) this.#answered(handle);
  }

  #answer(request: Outstanding, type: number, reader: BoundedReader): void {
    const { handle, command, opening, closes } = request;
    const code = type === Fxp.status ? reader.uint32() : fxOk;
    if (type !== Fxp.status) this.#understand(request, type, reader);
    else if (code === fxOk && request.answer !== Fxp.status)
      throw new SftpError('sftp-unexpected-packet', 'the target answered OK and nothing else');
    if (opening !== null) this.#options.handles.awaited--;
    if (command > 0 && (opening === null || code !== fxOk)) {
      const [kind, errorCode] =
        code === fxOk ? ['succeeded' as const, null] : ['failed' as const, codeName(code)];
      this.#options.gate.outcome(command, { kind, tag: null, rows: 0, errorCode });
    }
    if (handle === null) return;
    if (closes) handle.closed = code;
    else if (moves(request) && code !== fxOk && code !== fxEof) handle.failed(code);
    this.#answered(handle);
  }

  /** @throws BytesError, SftpError for an answer that is not what its type says */
  #understand({ command, opening, handle }: Outstanding, type: number, reader: BoundedReader): void {
    if (type === Fxp.handle) {
      const bytes = takeString(reader);
      if (bytes.length > longestHandleBytes)
        throw new SftpError('sftp-malformed-packet', 'a handle is longer than the protocol allows');
      reader.finish();
      const { handles, budget } = this.#options;
      handles.add(new Handle(command, opening!, Buffer.from(bytes), budget));
    } else if (type === Fxp.name) {
      const count = reader.uint32();
      for (let i = 0; i < count; i++) takeName(reader);
      if (handle !== null) handle.names += count;
    } else if (type === Fxp.attrs) takeAttributes(reader);
    else reader.position = reader.end; // an extension's own
    reader.finish();
  }

  /** A request on it was answered; the last one after CLOSE ends its command. */
  #answered(handle: Handle): void {
    handle.pending--;
    if (handle.closed === null || handle.pending > 0) return;
    this.#options.gate.outcome(handle.command, { ...handle.outcome, rows: 0 });
    handle.drop();
  }
}

/** READ, WRITE, READDIR, fsync: without them the file or the list is not whole. */
const moves = ({ command, answer }: Outstanding): boolean =>
  command === 0 && answer !== Fxp.attrs && answer !== Fxp.extendedReply;
