/**
 * Which text a client's statement name stands for at the target, so that no execution is ever recorded or decided
 * under another text than the one that runs.
 *
 * A name means what the target last confirmed. What is on its way (Parse, Close) counts at once for messages of the
 * same segment (up to the next Sync), because the target skips those if it fails; for later segments the name is
 * `unsettled` until the answer is there. SQL can change names too (PREPARE, DEALLOCATE, DISCARD): a command that might
 * do so unsettles all names, until it is answered. What SQL inside a function does with names cannot be seen from here; see
 * `suspect-statements.ts`. SQL cannot make the unnamed statement: it is the last one that the target confirmed, or none.
 */

import { PostgresError } from './error.ts';

/** A statement's number, or: the target may know the name, this table does not. */
export type Found = number | 'unknown' | 'unsettled';

interface Entry {
  readonly name: Buffer;
  readonly key: string;
  /** Confirmed by the target; 0: none. */
  live: number;
  /** On its way: a statement, or 0 for a Close; null: nothing is. */
  next: number | null;
  nextSegment: number;
}

const cacheSize = 64;
/** PostgreSQL compares no more of a name (NAMEDATALEN less the NUL): what is longer is the same name. */
export const nameBytes = 63;

export class PreparedStatements {
  readonly #forget: (statement: number) => void;
  readonly #named = new Map<string, Entry>();
  /** By a cheap hash of the name, so that a look-up makes no string. */
  readonly #cache: (Entry | undefined)[] = Array.from({ length: cacheSize });
  readonly #unnamed: Entry = { name: Buffer.alloc(0), key: '', live: 0, next: null, nextSegment: 0 };
  /** What is on its way, by statement (positive) or token of a Close (negative). */
  readonly #pending = new Map<number, Entry>();
  #closeTokens = 0;
  #renamingSegment = -1;
  /** Current segment of the client, and how many the target has answered. */
  segment = 0;
  answered = 0;

  /** `forget` is told statements that no name stands for any more. */
  constructor(forget: (statement: number) => void) {
    this.#forget = forget;
  }

  /** Names that stand for something, or may soon. */
  get size(): number {
    return this.#named.size;
  }

  /** True while something of an earlier segment is not answered. */
  get unsettled(): boolean {
    return this.answered < this.segment;
  }

  /** A command of the current segment might rename: the target must be made to answer it, for the client need not. */
  get renamingNow(): boolean {
    return this.#renamingSegment === this.segment;
  }

  /** Everything that was forwarded is answered: the names are what the table says. */
  settled(): void {
    this.#renamingSegment = -1;
    this.answered = this.segment;
  }

  find(bytes: Buffer, start: number, end: number): Found {
    const entry = this.#entry(bytes, start, end);
    if (start !== end) {
      if (this.#renamingSegment >= this.answered) return 'unsettled';
    }
    if (entry === undefined) return 'unknown';
    if (entry.next === null) return entry.live === 0 ? 'unknown' : entry.live;
    if (entry.nextSegment === this.segment) return entry.next === 0 ? 'unknown' : entry.next;
    return entry.nextSegment >= this.answered ? 'unsettled' : entry.live || 'unknown';
  }

  /** A Parse is forwarded. False: wait until earlier segments are answered, then ask again. */
  mayParse(name: Buffer): boolean {
    const entry = this.#entry(name, 0, name.length);
    return (
      entry === undefined ||
      entry === this.#unnamed ||
      entry.next === null ||
      entry.nextSegment === this.segment
    );
  }

  parse(name: Buffer, statement: number): void {
    let entry = this.#entry(name, 0, name.length);
    if (entry === undefined) {
      const known = Buffer.from(name.subarray(0, nameBytes));
      const key = known.toString('latin1');
      entry = { name: known, key, live: 0, next: null, nextSegment: 0 };
      this.#named.set(key, entry);
    }
    entry.next = statement;
    entry.nextSegment = this.segment;
    this.#pending.set(statement, entry);
  }

  /** A Close of a statement is forwarded; returns the token for its answer, 0 when the name is not known. */
  close(name: Buffer): number {
    const entry = this.#entry(name, 0, name.length);
    if (entry === undefined) return 0;
    entry.next = 0;
    entry.nextSegment = this.segment;
    const token = --this.#closeTokens;
    this.#pending.set(token, entry);
    return token;
  }

  parseSucceeded(statement: number): void {
    const entry = this.#settle(statement, statement);
    if (entry === undefined) return;
    if (entry.live !== 0) this.#forget(entry.live);
    entry.live = statement;
  }

  parseFailed(statement: number): void {
    const entry = this.#settle(statement, statement);
    this.#forget(statement);
    if (entry !== undefined) this.#discardIfEmpty(entry);
  }

  /** `token` as `close` returned it. */
  closed(token: number, succeeded: boolean): void {
    const entry = this.#settle(token, 0);
    if (entry === undefined) return;
    if (succeeded) this.#dropLive(entry);
    this.#discardIfEmpty(entry);
  }

  /** A command is forwarded that might rename statements. */
  mightRename(): void {
    this.#renamingSegment = this.segment;
  }

  /** The target has dropped a name by SQL; null: it is not known which, or all. */
  dropped(name: string | null): void {
    for (const entry of name === null ? this.#named.values() : [this.#named.get(name.slice(0, nameBytes))]) {
      if (entry === undefined) continue;
      this.#dropLive(entry);
      this.#discardIfEmpty(entry);
    }
  }

  #settle(id: number, next: number): Entry | undefined {
    const entry = this.#pending.get(id);
    this.#pending.delete(id);
    if (entry?.next === next) entry.next = null;
    return entry;
  }

  #dropLive(entry: Entry): void {
    if (entry.live !== 0) this.#forget(entry.live);
    entry.live = 0;
  }

  #discardIfEmpty(entry: Entry): void {
    if (entry.live !== 0 || entry.next !== null || entry === this.#unnamed) return;
    if (this.#named.get(entry.key) === entry) this.#named.delete(entry.key);
    const at = slotOf(entry.name, 0, entry.name.length);
    if (this.#cache[at] === entry) this.#cache[at] = undefined;
  }

  #entry(bytes: Buffer, start: number, nameEnd: number): Entry | undefined {
    if (start === nameEnd) return this.#unnamed;
    const end = Math.min(nameEnd, start + nameBytes);
    const at = slotOf(bytes, start, end);
    const cached = this.#cache[at];
    if (cached !== undefined && equals(cached.name, bytes, start, end)) return cached;
    const entry = this.#named.get(bytes.toString('latin1', start, end));
    if (entry !== undefined) this.#cache[at] = entry;
    return entry;
  }
}

function slotOf(bytes: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
  return hash & (cacheSize - 1);
}

function equals(name: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}

/**
 * Names of statements and portals are ASCII: a target converts others from the client's encoding, which SQL can change,
 * so that what is one name there would be two here. @throws PostgresError `postgres-malformed-message`
 */
export function checkName(bytes: Buffer, start: number, end: number): void {
  for (let i = start; i < end; i++) {
    if (bytes[i]! < 0x80) continue;
    throw new PostgresError(
      'postgres-malformed-message',
      'the name of a prepared statement or portal is not ASCII',
    );
  }
}

/**
 * Whether a statement might change what names of statements or portals stand for, told by its first letters alone:
 * DEALLOCATE, DISCARD, PREPARE, DECLARE, CLOSE, DO, CALL, and anything behind a comment or in an unusual place. A false
 * alarm costs nothing but a wait of pipelined named statements behind it.
 */
export function mightRename(text: Uint8Array): boolean {
  let i = 0;
  while (i < text.length && (text[i] === 0x20 || (text[i]! >= 0x09 && text[i]! <= 0x0d))) i++;
  if (harmless.has((text[i] ?? 0) | 0x20)) return false;
  const start = Buffer.from(text.buffer, text.byteOffset + i, Math.min(text.length - i, 8)).toString(
    'latin1',
  );
  return !/^(commit|copy|comment|create|delete|drop)/i.test(start);
}

/** First letters of SELECT, INSERT, UPDATE, BEGIN, WITH, VALUES, TABLE, ROLLBACK, LOCK, FETCH, ALTER, GRANT, MERGE, NOTIFY, END, EXECUTE. */
const harmless = new Set([...'siubwvtrlfagmne'].map((letter) => letter.charCodeAt(0)));

/** The one name that a text deallocates, folded as PostgreSQL does; null when it is more than that. */
export function deallocatedName(text: Uint8Array): string | null {
  if (text.length > 300) return null;
  const sql = Buffer.from(text).toString('latin1');
  const match =
    /^[ \t\n\r\f]*deallocate[ \t\n\r\f]+(?:prepare[ \t\n\r\f]+)?(?:"((?:[^"\x80-\xff]|"")+)"|([a-z_][a-z0-9_$]*))[ \t\n\r\f]*;?[ \t\n\r\f]*$/i.exec(
      sql,
    );
  if (match === null) return null;
  if (match[1] !== undefined) return match[1].replaceAll('""', '"');
  const name = match[2]!.toLowerCase();
  return name === 'all' || name === 'prepare' ? null : name;
}
