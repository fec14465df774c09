/**
 * Which command a client's portal belongs to. A name that is not here (a cursor of SQL, or a portal that SQL may have
 * replaced since) is never guessed: its execution becomes a command of its own.
 */
export class Portals {
  #unnamed = 0;
  readonly #named = new Map<string, number>();

  bind(bytes: Buffer, start: number, end: number, command: number): void {
    if (start === end) this.#unnamed = command;
    else {
      if (this.#named.size >= bound) this.#named.clear();
      this.#named.set(bytes.toString('latin1', start, end), command);
    }
  }

  /** 0: not known. */
  find(bytes: Buffer, start: number, end: number): number {
    if (start === end) return this.#unnamed;
    return this.#named.get(bytes.toString('latin1', start, end)) ?? 0;
  }

  close(bytes: Buffer, start: number, end: number): void {
    if (start === end) this.#unnamed = 0;
    else this.#named.delete(bytes.toString('latin1', start, end));
  }

  clearNamed(): void {
    this.#named.clear();
  }

  /** A simple query ends the unnamed portal, and may do anything to the others. */
  clear(): void {
    this.#unnamed = 0;
    this.#named.clear();
  }
}

/** A client that never closes its portals does not make the relay grow. */
const bound = 4096;
