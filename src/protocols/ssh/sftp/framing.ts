/**
 * One direction of an SFTP stream, cut into packets in place: a length is checked before anything is kept of its packet, a
 * packet that came whole is looked at where it lies, and packets that pass leave as one run of the chunk. The data of WRITE
 * and DATA passes in pieces of any size; of every other packet all must be there before it is judged.
 */
import { Gathering } from '../../../bytes/gathering.ts';
import { SftpError } from './error.ts';
import { longestPacketBytes } from './packets.ts';

/** Who judges the packets of one direction. */
export interface PacketJudge {
  /**
   * How many bytes of a packet, from its length field on, must stand side by side for `take`, as far as its first
   * `available` ones tell; at least 5 are there. Called again when those are there, until they are enough.
   */
  head(bytes: Buffer, start: number, available: number, length: number): number;
  /** A packet begins, `head` bytes of it are at `start`. True: it passes, with the payload that follows. */
  take(bytes: Buffer, start: number, head: number): boolean;
  /** Bytes of the payload of the packet that passes. */
  payload(bytes: Buffer, start: number, end: number): void;
}

const lengthAndType = 5;

export class Framing {
  readonly #judge: PacketJudge;
  readonly #emit: (bytes: Buffer) => void;
  /** The beginning of a packet that is not enough to judge it. */
  #gathering: Gathering | null = null;
  /** Bytes still to come of a packet that was judged, and whether they pass. */
  #passing = 0;
  #passes = true;
  #receiving = false;
  /** Of the bytes at hand: what passes and has not been emitted starts here. */
  #run = 0;
  /** Packets of our own that wait for the end of one that is passing. */
  readonly #inserted: Buffer[] = [];
  /** Bytes of those. */
  waiting = 0;

  /** `emit` takes what passes, in order; lent. */
  constructor(judge: PacketJudge, emit: (bytes: Buffer) => void) {
    this.#judge = judge;
    this.#emit = emit;
  }

  /** Sends a packet that did not come in this direction, between two that did. */
  insert(packet: Buffer): void {
    if (this.#receiving || this.#passing > 0) {
      this.#inserted.push(packet);
      this.waiting += packet.length;
    } else this.#emit(packet);
  }

  /** @throws SftpError, BytesError */
  receive(chunk: Buffer): void {
    this.#receiving = true;
    this.#run = 0;
    let position = this.#goOn(chunk, 0);
    while (this.#gathering !== null && position < chunk.length) position = this.#gather(chunk, position);
    while (position < chunk.length) {
      const head = this.#wanted(chunk, position, chunk.length - position);
      if (head > chunk.length - position) {
        this.#flush(chunk, position);
        this.#gathering = new Gathering(head);
        position = this.#gathering.add(chunk, position);
        this.#run = position;
      } else position = this.#packet(chunk, position, head);
    }
    this.#flush(chunk, position);
    this.#receiving = false;
  }

  /** More of a packet that was judged before; returns where it ends. */
  #goOn(chunk: Buffer, from: number): number {
    if (this.#passing === 0) return from;
    const end = Math.min(from + this.#passing, chunk.length);
    this.#passing -= end - from;
    if (!this.#passes) this.#run = end;
    else if (end > from) this.#judge.payload(chunk, from, end);
    if (this.#passing === 0) this.#between(chunk, end);
    return end;
  }

  /** Adds to the beginning of a packet until it can be judged; returns where the chunk goes on. */
  #gather(chunk: Buffer, from: number): number {
    const position = this.#gathering!.add(chunk, from);
    this.#run = position;
    if (this.#gathering!.missing > 0) return position;
    const bytes = this.#gathering!.bytes();
    const head = this.#wanted(bytes, 0, bytes.length);
    if (head > bytes.length) {
      this.#gathering = new Gathering(head);
      this.#gathering.add(bytes, 0);
      return position;
    }
    this.#gathering = null;
    this.#run = 0;
    this.#packet(bytes, 0, head);
    this.#flush(bytes, bytes.length);
    this.#run = position;
    return this.#goOn(chunk, position);
  }

  #wanted(bytes: Buffer, start: number, available: number): number {
    if (available < lengthAndType) return lengthAndType;
    const length = bytes.readUInt32BE(start);
    if (length > longestPacketBytes)
      throw new SftpError('sftp-packet-too-large', `a packet is longer than ${longestPacketBytes} bytes`);
    if (length === 0) throw new SftpError('sftp-malformed-packet', 'a packet without a type');
    return this.#judge.head(bytes, start, available, length);
  }

  /** Judges the packet at `start`; returns where it ends, at most where the bytes do. */
  #packet(bytes: Buffer, start: number, head: number): number {
    const whole = start + 4 + bytes.readUInt32BE(start);
    const end = Math.min(whole, bytes.length);
    this.#passes = this.#judge.take(bytes, start, head);
    if (!this.#passes) {
      this.#flush(bytes, start);
      this.#run = end;
    } else if (end > start + head) this.#judge.payload(bytes, start + head, end);
    this.#passing = whole - end;
    if (this.#passing === 0) this.#between(bytes, end);
    return end;
  }

  /** Between two packets. */
  #between(bytes: Buffer, position: number): void {
    if (this.#inserted.length === 0) return;
    this.#flush(bytes, position);
    for (const packet of this.#inserted.splice(0)) this.#emit(packet);
    this.waiting = 0;
  }

  #flush(bytes: Buffer, end: number): void {
    if (end > this.#run)
      this.#emit(this.#run === 0 && end === bytes.length ? bytes : bytes.subarray(this.#run, end));
    this.#run = end;
  }
}
