/**
 * Files and directories that are open at the target: what was asked for them, and what passed. A handle is bytes of the
 * target's choice; only those that it gave out, and that were not closed, may be named by the client.
 */
import type { OutcomeKind } from '../../../model/outcome.ts';
import { TransferredBytes } from '../files/transferred-bytes.ts';
import type { EarlyBytes } from '../files/transferred-bytes.ts';
import { SftpError } from './error.ts';
import { codeName, fxOk } from './packets.ts';

/** What OPEN or OPENDIR was asked for; a path is normalized, and quoted as it stands in texts. */
export interface Opening {
  readonly path: string;
  readonly quoted: Buffer;
  readonly directory: boolean;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly appends: boolean;
}

export class Handle {
  readonly command: number;
  readonly opening: Opening;
  readonly bytes: Buffer;
  readonly read: TransferredBytes;
  readonly written: TransferredBytes;
  /** Names that were listed. */
  names = 0;
  /** Requests that name it and are not answered. */
  pending = 0;
  /** The target's answer to CLOSE. */
  closed: number | null = null;
  #failure: number = fxOk;
  /** The target wrote into it by itself (`copy-data`). */
  copied = false;

  constructor(command: number, opening: Opening, bytes: Buffer, budget: EarlyBytes) {
    this.command = command;
    this.opening = opening;
    this.bytes = bytes;
    this.read = new TransferredBytes(budget);
    this.written = new TransferredBytes(budget, opening.appends);
  }

  failed(code: number): void {
    if (this.#failure === fxOk) this.#failure = code;
  }

  /** Lets go of what waits in memory. */
  drop(): void {
    this.read.drop();
    this.written.drop();
  }

  get outcome(): { kind: OutcomeKind; tag: string; errorCode: string | null } {
    if (this.closed === null) return { kind: 'cancelled', tag: this.#tag, errorCode: codeName(7) };
    const code = this.#failure === fxOk ? this.closed : this.#failure;
    return code === fxOk
      ? { kind: 'succeeded', tag: this.#tag, errorCode: null }
      : { kind: 'failed', tag: this.#tag, errorCode: codeName(code) };
  }

  get #tag(): string {
    const { directory, reads, writes } = this.opening;
    if (directory) return `${this.names} names`;
    const parts: string[] = [];
    if (reads && writes) {
      if (this.read.bytes > 0) parts.push(`read ${this.read.summary()}`);
      if (this.written.bytes > 0) parts.push(`written ${this.written.summary()}`);
      if (parts.length === 0) parts.push('0 bytes');
    } else parts.push((writes ? this.written : this.read).summary());
    if (this.copied) parts.push('and copied into by the target');
    return parts.join('; ');
  }
}

const mostHandles = 4096;

export class Handles {
  readonly #open = new Map<string, Handle>();
  /** Of the last one, which the next request most often names again. */
  #last: Handle | null = null;
  /** OPEN and OPENDIR that are not answered. */
  awaited = 0;

  get size(): number {
    return this.#open.size;
  }

  get full(): boolean {
    return this.#open.size + this.awaited >= mostHandles;
  }

  /** @throws SftpError `sftp-unexpected-packet`: one that is open already */
  add(handle: Handle): void {
    const key = handle.bytes.toString('latin1');
    if (this.#open.has(key))
      throw new SftpError('sftp-unexpected-packet', 'the target gave out a handle that is open');
    this.#open.set(key, handle);
  }

  /** The one that `bytes[start, end)` name. */
  find(bytes: Buffer, start: number, end: number): Handle | null {
    const last = this.#last;
    if (last !== null && last.bytes.equals(bytes.subarray(start, end))) return last;
    const found = this.#open.get(bytes.toString('latin1', start, end)) ?? null;
    if (found !== null) this.#last = found;
    return found;
  }

  /** It was not closed. */
  has(handle: Handle): boolean {
    return this.#open.get(handle.bytes.toString('latin1')) === handle;
  }

  /** The client has closed it: it may not name it again. */
  remove(handle: Handle): void {
    this.#open.delete(handle.bytes.toString('latin1'));
    if (this.#last === handle) this.#last = null;
  }

  all(): Iterable<Handle> {
    return this.#open.values();
  }
}
