/**
 * Which command a client's portal belongs to. A name that is not here (a cursor of SQL, or a portal that SQL may have
 * replaced since) is never guessed: its execution becomes a command of its own.
 */
import { nameBytes } from './prepared-statements.ts';

export class Portals {
  #unnamed = 0;
  readonly #named = new Map<string, number>();
  /** The other way round, for what fails. */
  readonly #names = new Map<number, string>();

  /** A Bind is forwarded. Returns the command whose portal it replaces, 0 when there is none. */
  bind(bytes: Buffer, start: number, end: number, command: number): number {
    if (start === end) {
      const before = this.#unnamed;
      this.#unnamed = command;
      return before;
    }
    if (this.#named.size >= bound) this.clearNamed();
    const name = nameOf(bytes, start, end);
    this.#forget(name);
    this.#named.set(name, command);
    this.#names.set(command, name);
    return 0; // a named portal is never replaced: its Bind fails
  }

  /** The target did not make the portal: what its name stands for is not known any more. */
  failed(command: number): void {
    if (this.#unnamed === command) this.#unnamed = 0;
    const name = this.#names.get(command);
    if (name !== undefined) this.#forget(name);
  }

  /** 0: not known. */
  find(bytes: Buffer, start: number, end: number): number {
    if (start === end) return this.#unnamed;
    return this.#named.get(nameOf(bytes, start, end)) ?? 0;
  }

  /** Returns the command of the portal; 0: not known. */
  close(bytes: Buffer, start: number, end: number): number {
    const command = this.find(bytes, start, end);
    if (start === end) this.#unnamed = 0;
    else this.#forget(nameOf(bytes, start, end));
    return command;
  }

  /** SQL may do anything to portals, but for the one that runs it. */
  clearNamed(running = 0): void {
    const name = this.#names.get(running);
    this.#named.clear();
    this.#names.clear();
    if (name === undefined) return;
    this.#named.set(name, running);
    this.#names.set(running, name);
  }

  /** A simple query ends the unnamed portal, and may do anything to the others. */
  clear(): void {
    this.#unnamed = 0;
    this.clearNamed();
  }

  #forget(name: string): void {
    const command = this.#named.get(name);
    if (command === undefined) return;
    this.#named.delete(name);
    this.#names.delete(command);
  }
}

/** As long as the target compares it. */
const nameOf = (bytes: Buffer, start: number, end: number): string =>
  bytes.toString('latin1', start, Math.min(end, start + nameBytes));

/** A client that never closes its portals does not make the relay grow. */
const bound = 4096;
