/**
 * PostgreSQL's messages, version 3 of the protocol, grouped by phase as in the manual's chapter "Frontend/Backend
 * Protocol" (https://www.postgresql.org/docs/current/protocol.html): `startup`, `authentication`, `query` (simple and
 * extended), `copy` and `error`. Decoders are pure: they get exactly one message's body and either return a value or
 * throw; none of them is used on the relay's hot path, which reads in place (`../frontend.ts`, `../backend.ts`).
 *
 * This file: a message is one byte of type and a length of four bytes that counts itself.
 */
import { Gathering } from '../../../bytes/gathering.ts';
import { PostgresError } from '../error.ts';

/** Type byte and length field. */
export const headerBytes = 5;

/** PostgreSQL's own bound for a message (`MaxAllocSize`). */
export const maximumLength = 0x3fffffff;

/** A message with its type byte; `body` excludes type and length. */
export interface Message {
  readonly type: number;
  readonly body: Buffer;
}

/** Type byte of a message as a number: `type('Z')`. */
export const typeOf = (letter: string): number => letter.charCodeAt(0);

/** Encodes a message: type, length, body. */
export function encodeMessage(letter: string, ...parts: readonly Uint8Array[]): Buffer {
  let length = 4;
  for (const part of parts) length += part.length;
  const bytes = Buffer.allocUnsafe(length + 1);
  bytes[0] = typeOf(letter);
  bytes.writeUInt32BE(length, 1);
  let at = headerBytes;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A NUL-terminated string. The text must not hold a NUL: what the client would read after it is another field. */
export function cstring(text: string): Buffer {
  if (text.includes('\0')) throw new PostgresError('postgres-malformed-message', 'a string holds a NUL');
  return Buffer.from(`${text}\0`, 'utf8');
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/**
 * Splits a stream of messages of one direction, after start-up, into messages; for replay and for the start-up of a
 * target, where whole messages are wanted and speed is not.
 */
export class MessageSplitter {
  readonly #limit: number;
  #rest: Buffer = Buffer.alloc(0);
  #gathering: Gathering | null = null;

  /** `limitBytes`: the longest message that is accepted, by its length field. */
  constructor(limitBytes: number = maximumLength) {
    this.#limit = limitBytes;
  }

  /** Bytes of an unfinished message that wait for more. */
  get pending(): number {
    return this.#gathering?.length ?? this.#rest.length;
  }

  /**
   * Messages completed by `chunk`, in order. A body is a view of `chunk` where the message came whole.
   * @throws PostgresError `postgres-malformed-message` (length under 4), `postgres-message-too-large`
   */
  *push(chunk: Buffer): Generator<Message, void, undefined> {
    let position = 0;
    if (this.#gathering !== null) {
      position = this.#gathering.add(chunk, 0);
      if (this.#gathering.missing > 0) return;
      const whole = this.#gathering.bytes();
      this.#gathering = null;
      yield { type: whole[0]!, body: whole.subarray(headerBytes) };
    }
    let bytes = chunk.subarray(position);
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, bytes]);
      this.#rest = Buffer.alloc(0);
    }
    let start = 0;
    while (bytes.length - start >= headerBytes) {
      const length = checkedLength(bytes.readUInt32BE(start + 1), this.#limit);
      const end = start + 1 + length;
      if (end > bytes.length) {
        this.#rest = Buffer.alloc(0);
        this.#gathering = new Gathering(1 + length);
        this.#gathering.add(bytes, start);
        return;
      }
      const body = bytes.subarray(start + headerBytes, end);
      const type = bytes[start]!;
      start = end;
      this.#rest = start < bytes.length ? bytes.subarray(start) : Buffer.alloc(0);
      yield { type, body };
    }
    this.#rest = Buffer.from(bytes.subarray(start));
  }
}

function checkedLength(length: number, limit: number): number {
  if (length < 4) throw new PostgresError('postgres-malformed-message', 'a message has a length under 4');
  if (length > limit) throw new PostgresError('postgres-message-too-large', 'a message is over its limit');
  return length;
}
