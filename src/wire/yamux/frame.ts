/**
 * yamux: many streams of bytes over one, each with its own credit window (FORMAT.md beside this file).
 * Specification: https://github.com/hashicorp/yamux/blob/master/spec.md
 *
 * Here it runs inside one WebSocket per session: every connection that a local client makes is one stream. The mux
 * knows no socket, no clock and no protocol; it is given bytes and a pipe, and it is told when to look for a dead
 * peer. It deliberately does not retry, reconnect, compress or encrypt: the pipe's business, or the caller's.
 *
 * Invariants: a stream never has more unread bytes in memory than its window; a stalled reader stops only its own
 * stream; a peer that breaks a rule gets a go-away with `protocol error` and the tunnel ends; frames of one tick leave
 * in one write.
 */
import { HoopError } from '../../errors.ts';

export const headerBytes = 12;
export const version = 0;

/** Both ends start with this receive window; it cannot be lowered, only raised by a window update. */
export const initialWindowBytes = 256 * 1024;

/** Type field. */
export const FrameType = { Data: 0, WindowUpdate: 1, Ping: 2, GoAway: 3 } as const;

/** Flags field; any other bit is a violation. */
export const Flag = { SYN: 1, ACK: 2, FIN: 4, RST: 8 } as const;
export const allFlags = 0xf;

/** Length field of a go-away. */
export const GoAwayCode = { Normal: 0, ProtocolError: 1, InternalError: 2 } as const;
export type GoAwayCode = (typeof GoAwayCode)[keyof typeof GoAwayCode];

export type YamuxErrorCode =
  | 'tunnel-protocol' // the peer broke a rule of the framing
  | 'tunnel-overrun' // the peer makes us answer and does not read the answers
  | 'tunnel-dead' // nothing heard for the keep-alive's bound
  | 'tunnel-lost' // the pipe closed under open streams
  | 'tunnel-peer-failed' // the peer went away with an error code
  | 'stream-refused' // the peer would not open the stream
  | 'stream-reset' // the peer dropped the stream
  | 'stream-overrun'; // too much waits for slow readers of this tunnel

export class YamuxError extends HoopError<YamuxErrorCode> {}

/** A header's fields, for tests and for those who read a trace; the mux itself parses in place. */
export interface FrameHeader {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** Data: bytes that follow. Window update: credit. Ping: opaque value. Go away: code. */
  readonly length: number;
}

/** Writes a header at `offset`; the fields (see `FrameHeader`) are trusted to be in range. */
export function encodeHeader(
  into: Buffer,
  offset: number,
  type: number,
  flags: number,
  stream: number,
  length: number,
): void {
  into[offset] = version;
  into[offset + 1] = type;
  into[offset + 2] = 0;
  into[offset + 3] = flags;
  into.writeUInt32BE(stream, offset + 4);
  into.writeUInt32BE(length, offset + 8);
}

/**
 * Reads a header that stands whole at `offset`. Checks what one header alone can be wrong about; whether the stream
 * exists and the window allows it is the mux's to say.
 * @throws YamuxError `tunnel-protocol`
 */
export function decodeHeader(from: Buffer, offset: number): FrameHeader {
  const first = from.readUInt32BE(offset);
  if (first >>> 24 !== version) throw violation(`version ${first >>> 24}`);
  const type = (first >>> 16) & 0xff;
  const flags = first & 0xffff;
  const stream = from.readUInt32BE(offset + 4);
  if (type > FrameType.GoAway) throw violation(`frame type ${type}`);
  if ((flags & ~allFlags) !== 0) throw violation(`flags ${flags}`);
  if (type >= FrameType.Ping ? stream !== 0 : stream === 0)
    throw violation(`stream ${stream} in type ${type}`);
  return { type, flags, stream, length: from.readUInt32BE(offset + 8) };
}

/** Names a broken rule; `what` holds numbers of the framing only, never a payload. */
export const violation = (what: string): YamuxError =>
  new YamuxError('tunnel-protocol', `tunnel framing broken: ${what}`, {
    hint: 'client and relay may be of different versions, or something between them changes the bytes',
  });
