/**
 * The frames of a WebSocket, as far as a tunnel needs them: binary messages, close, ping and pong; no extension.
 * Specification: RFC 6455, section 5. Payload is handed on as it arrives, in place: no message is ever collected.
 */

/** Both ends refuse a longer message before it is read. */
export const maxMessageBytes = 1024 * 1024;

export const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;

/** Close codes of RFC 6455, section 7.4, that we say ourselves. */
export const CloseCode = { Normal: 1000, ProtocolError: 1002, Unsupported: 1003, TooBig: 1009 } as const;

/** The longest header: two bytes, a length of eight, a key of four. */
export const maxHeaderBytes = 14;
const maxControlBytes = 125;

/** A rule of the framing was broken; `closeCode` is the answer. Never holds payload. */
export class WebSocketViolation extends Error {
  readonly closeCode: number;

  constructor(closeCode: number, what: string) {
    super(`WebSocket framing broken: ${what}`);
    this.closeCode = closeCode;
  }
}

export interface FrameReceiver {
  /** A part of a binary message; `bytes` is lent until the call returns. */
  payload(bytes: Buffer): void;
  /** A whole close, ping or pong; `payload` is the receiver's. */
  control(opcode: number, payload: Buffer): void;
}

/**
 * Writes the header of a final frame so that it ends at `end`, and returns where it begins: at most `maxHeaderBytes`
 * before.
 * @param masked what a client sends: with a key of zeros, so the payload stays as it is
 */
export function writeFrameHeader(
  into: Buffer,
  end: number,
  opcode: number,
  length: number,
  masked: boolean,
): number {
  const mask = masked ? 0x80 : 0;
  let start = masked ? end - 4 : end;
  if (masked) into[start] = into[start + 1] = into[start + 2] = into[start + 3] = 0;
  if (length < 126) {
    start -= 2;
    into[start + 1] = mask | length;
  } else if (length < 0x10000) {
    start -= 4;
    into[start + 1] = mask | 126;
    into[start + 2] = length >>> 8;
    into[start + 3] = length;
  } else {
    start -= 10;
    into[start + 1] = mask | 127;
    into.writeUInt32BE(0, start + 2);
    into.writeUInt32BE(length, start + 6);
  }
  into[start] = 0x80 | opcode;
  return start;
}

/** Takes a connection's bytes, split anywhere. */
export class FrameReader {
  readonly #masked: boolean;
  readonly #receiver: FrameReceiver;
  /** Start of a header whose rest has not come. */
  readonly #partial = Buffer.alloc(maxHeaderBytes);
  #partialBytes = 0;
  #opcode = 0;
  #final = false;
  /** Of the current frame, not yet here. */
  #left = 0;
  #key = 0;
  /** Payload bytes of the current frame already unmasked. */
  #unmasked = 0;
  /** Between the first frame of a message and its final one. */
  #inMessage = false;
  #messageBytes = 0;
  /** Payload of a control frame so far. */
  #control: Buffer = empty;
  #stopped = false;

  /** @param masked true: frames must be masked (they come from a client); false: they must not be */
  constructor(masked: boolean, receiver: FrameReceiver) {
    this.#masked = masked;
    this.#receiver = receiver;
  }

  /** Nothing more is delivered, not even of the chunk being read. */
  stop(): void {
    this.#stopped = true;
  }

  /** @throws WebSocketViolation; the reader is of no use after that */
  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      if (this.#left > 0) at = this.#body(chunk, at);
      else if (this.#partialBytes > 0) at = this.#completeHeader(chunk, at);
      else {
        const length = this.#header(chunk, at, chunk.length - at);
        if (length === 0) {
          this.#partialBytes = chunk.copy(this.#partial, 0, at);
          return;
        }
        at += length;
      }
    }
  }

  #completeHeader(chunk: Buffer, at: number): number {
    this.#partial[this.#partialBytes] = chunk[at]!;
    this.#partialBytes += 1;
    if (this.#header(this.#partial, 0, this.#partialBytes) > 0) this.#partialBytes = 0;
    return at + 1;
  }

  /** Reads the header at `at`; returns its length, or 0 when `available` bytes are not all of it. */
  #header(from: Buffer, at: number, available: number): number {
    if (available < 2) return 0;
    const first = from[at]!;
    const second = from[at + 1]!;
    this.#checkStart(first, second);
    const short = second & 0x7f;
    const keyAt = short < 126 ? 2 : short === 126 ? 4 : 10;
    const whole = this.#masked ? keyAt + 4 : keyAt;
    if (available < whole) return 0;
    let length = short;
    if (short === 126) length = from.readUInt16BE(at + 2);
    else if (short === 127) length = longLength(from, at + 2);
    this.#key = this.#masked ? from.readUInt32BE(at + keyAt) : 0;
    this.#start(first, length);
    return whole;
  }

  /** What the first two bytes can be wrong about. */
  #checkStart(first: number, second: number): void {
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0) throw violation('reserved bits');
    if (second >>> 7 !== (this.#masked ? 1 : 0)) throw violation('mask');
    if (opcode >= Opcode.Close) {
      if (opcode > Opcode.Pong) throw violation(`opcode ${opcode}`);
      if ((first & 0x80) === 0) throw violation('control frame in fragments');
      if ((second & 0x7f) > maxControlBytes) throw violation('long control frame');
      return;
    }
    if (opcode === Opcode.Text) throw new WebSocketViolation(CloseCode.Unsupported, 'text message');
    if (opcode > Opcode.Binary) throw violation(`opcode ${opcode}`);
    if ((opcode === Opcode.Continuation) !== this.#inMessage) throw violation('order of fragments');
  }

  #start(first: number, length: number): void {
    this.#opcode = first & 0x0f;
    this.#final = first >= 0x80;
    this.#unmasked = 0;
    if (this.#opcode < Opcode.Close) {
      this.#messageBytes = this.#opcode === Opcode.Continuation ? this.#messageBytes + length : length;
      if (this.#messageBytes > maxMessageBytes)
        throw new WebSocketViolation(CloseCode.TooBig, 'message too long');
      this.#inMessage = !this.#final;
    }
    this.#left = length;
    if (length === 0 && this.#opcode >= Opcode.Close) this.#receiver.control(this.#opcode, empty);
  }

  #body(chunk: Buffer, at: number): number {
    const end = Math.min(at + this.#left, chunk.length);
    this.#left -= end - at;
    const bytes = at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end);
    if (this.#key !== 0) this.#unmask(bytes);
    if (this.#opcode < Opcode.Close) this.#receiver.payload(bytes);
    else this.#controlBody(bytes);
    return end;
  }

  #controlBody(bytes: Buffer): void {
    // At most 125 bytes; a copy, since what it is part of belongs to the streams.
    const payload = Buffer.concat([this.#control, bytes]);
    this.#control = this.#left === 0 ? empty : payload;
    if (this.#left === 0) this.#receiver.control(this.#opcode, payload);
  }

  #unmask(bytes: Buffer): void {
    let phase = this.#unmasked & 3;
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = bytes[i]! ^ (this.#key >>> (24 - 8 * phase));
      phase = (phase + 1) & 3;
    }
    this.#unmasked += bytes.length;
  }
}

const empty: Buffer = Buffer.alloc(0);

function longLength(from: Buffer, at: number): number {
  if (from.readUInt32BE(at) !== 0) throw new WebSocketViolation(CloseCode.TooBig, 'message too long');
  return from.readUInt32BE(at + 4);
}

const violation = (what: string): WebSocketViolation => new WebSocketViolation(CloseCode.ProtocolError, what);
