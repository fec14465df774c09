/** Requests that are not answered, by their id: what each asked, and with what it may be answered besides STATUS. */
import { SftpError } from './error.ts';
import type { Handle, Opening } from './handles.ts';

export interface Outstanding {
  /** Type of the answer; STATUS where there is no other. */
  readonly answer: number;
  /** Gets its outcome by the answer; 0: none. */
  readonly command: number;
  /** Names it. */
  readonly handle: Handle | null;
  /** OPEN and OPENDIR. */
  readonly opening: Opening | null;
  readonly closes: boolean;
  /** Of READ. */
  readonly offset: number;
  readonly length: number;
}

/** The sender waits from the first bound on; the second one ends the channel. */
const many = 1024;
const tooMany = 65_536;

/** Not sent to the target: it waits for people. */
const held = Symbol('held');

export class OutstandingRequests {
  readonly #requests = new Map<number, Outstanding | typeof held>();

  get size(): number {
    return this.#requests.size;
  }

  get many(): boolean {
    return this.#requests.size >= many;
  }

  /** @throws SftpError: the id waits for an answer already */
  expectUnused(id: number): void {
    if (this.#requests.has(id))
      throw new SftpError('sftp-unexpected-packet', 'a request has the id of one that is not answered');
    if (this.#requests.size >= tooMany)
      throw new SftpError('sftp-too-many-requests', `more than ${tooMany} requests wait for answers`);
  }

  /** The target will answer it. */
  add(id: number, request: Outstanding): void {
    this.#requests.set(id, request);
  }

  hold(id: number): void {
    this.#requests.set(id, held);
  }

  release(id: number): void {
    this.#requests.delete(id);
  }

  /** The one that the target answers; it stays until `release`. @throws SftpError `sftp-unexpected-packet` */
  get(id: number): Outstanding {
    const request = this.#requests.get(id);
    if (request === undefined || request === held)
      throw new SftpError('sftp-unexpected-packet', 'the target answered a request that was not made');
    return request;
  }

  *all(): Generator<Outstanding, void, undefined> {
    for (const request of this.#requests.values()) if (request !== held) yield request;
  }
}
