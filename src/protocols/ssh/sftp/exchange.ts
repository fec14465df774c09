/**
 * The `sftp` subsystem of one channel, SFTP version 3 with OpenSSH's extensions, between a client and a target. Read in this
 * order: `packets`, `framing`, `operations`, `requests`, `replies`.
 *
 * Each operation on files is a command of its own, decided and recorded before its request passes. What a file holds is neither
 * recorded nor masked: it may be of any format, and a program must get what the file holds. Recorded are the path, the number of
 * bytes and their SHA-256; policy allows or refuses by path. A listing passes unmasked as well.
 *
 * Paths are taken by their letters: what symbolic links at the target make of them is not known here. Questions (STAT, READLINK,
 * REALPATH, …) are decided as reads of their path, and are commands only where they are denied. One on a path that needs a
 * review passes; the transfer itself is what people are asked about.
 *
 * Deliberately does no I/O: whoever owns the channel sends what it is given after the record is written. Does not speak versions
 * 4 to 6, nor extensions that it does not know.
 *
 * Invariants: nothing passes that was not understood; each request gets one answer, of its own id; each command one outcome.
 */
import type { ConnectionGate } from '../../../gate/gate.ts';
import { FileFacts } from '../files/file-facts.ts';
import { HeldFiles } from '../files/held-files.ts';
import { EarlyBytes } from '../files/transferred-bytes.ts';
import { Framing } from './framing.ts';
import { Handles } from './handles.ts';
import { Operations } from './operations.ts';
import { OutstandingRequests } from './outstanding.ts';
import { codeName } from './packets.ts';
import { Replies } from './replies.ts';
import { Requests } from './requests.ts';

export interface SftpExchangeOptions {
  readonly gate: ConnectionGate;
  /** The session's, so that equal facts are one object in all of its channels. */
  readonly facts?: FileFacts;
  /** Take what may go when it is recorded, in order; the bytes are lent. */
  readonly toTarget: (bytes: Buffer) => void;
  readonly toClient: (bytes: Buffer) => void;
  /** Takes a line for the person, without its end: their standard error, as SFTP has no place for it. */
  readonly tell?: (line: string) => void;
  /**
   * Runs what happens outside of a call of the owner's (people have decided): the owner sends afterwards what was given to
   * it, and what `work` throws ends the channel.
   */
  readonly awake: (work: () => void) => void;
}

/** Bytes of early pieces of all transfers of a channel. */
const earlyBytes = 8 * 1024 * 1024;
/** Of own answers that wait for the end of a packet of the target. */
const mostWaiting = 256 * 1024;
const connectionLost = codeName(7);

export class SftpExchange {
  readonly #options: SftpExchangeOptions;
  readonly #outstanding = new OutstandingRequests();
  readonly #handles = new Handles();
  readonly #held: HeldFiles;
  readonly #toTarget: Framing;
  readonly #toClient: Framing;
  /** Nothing is taken any more; and: everything has its outcome. */
  #over = false;
  #settled = false;

  constructor(options: SftpExchangeOptions) {
    this.#options = options;
    const { gate } = options;
    const tell = options.tell ?? (() => undefined);
    const [handles, outstanding] = [this.#handles, this.#outstanding];
    const operations = new Operations(options.facts ?? new FileFacts(), handles);
    const awake = (work: () => void): void => {
      if (!this.#over) options.awake(() => this.#guarded(work));
    };
    this.#held = new HeldFiles({ gate, awake, tell });
    const toTarget = (packet: Buffer): void => this.#toTarget.insert(packet);
    const toClient = (packet: Buffer): void => this.#toClient.insert(packet);
    const held = this.#held;
    const requests = new Requests({ gate, operations, handles, outstanding, held, toTarget, toClient, tell });
    const replies = new Replies({
      gate,
      handles,
      outstanding,
      budget: new EarlyBytes(earlyBytes),
      phase: () => requests.phase,
      started: (home) => {
        operations.home = home;
        requests.phase = 'ready';
      },
      toTarget,
      toClient,
    });
    this.#toTarget = new Framing(requests, options.toTarget);
    this.#toClient = new Framing(replies, options.toClient);
  }

  /** The client should be made to wait: more is not answered than it needs for speed. */
  get blocked(): boolean {
    return this.#outstanding.many || this.#toClient.waiting > mostWaiting;
  }

  /** Something is asked of the target, or of people, and not answered; or a file is open. */
  get busy(): boolean {
    return this.#held.count > 0 || this.#handles.size > 0 || this.#outstanding.size > 0;
  }

  /** Takes what the client sent; lent. What is thrown ends the channel. @throws SftpError, BytesError */
  fromClient(chunk: Buffer): void {
    this.#guarded(() => this.#toTarget.receive(chunk));
  }

  /** Takes what the target sent; lent. What is thrown ends the channel. @throws SftpError, BytesError */
  fromTarget(chunk: Buffer): void {
    this.#guarded(() => this.#toClient.receive(chunk));
  }

  /** The channel is over: every command that has none gets its outcome, what people were asked for is withdrawn. Idempotent. */
  ended(why: 'disconnected' | 'session-ended' = 'disconnected'): void {
    if (this.#settled) return;
    this.#over = this.#settled = true;
    const { gate } = this.#options;
    this.#held.leave(why);
    const cancelled = { kind: 'cancelled', tag: null, rows: 0, errorCode: connectionLost } as const;
    // A handle that was closed and not answered is known by its requests alone.
    const open = new Set(this.#handles.all());
    for (const { command, handle } of this.#outstanding.all()) {
      if (command > 0) gate.outcome(command, cancelled);
      if (handle !== null) open.add(handle);
    }
    for (const handle of open) {
      gate.outcome(handle.command, { ...handle.outcome, rows: 0 });
      handle.drop();
    }
  }

  /** Nothing is taken any more after a failure. */
  #guarded(work: () => void): void {
    if (this.#over) return;
    try {
      work();
    } catch (error) {
      this.#over = true;
      throw error;
    }
  }
}
