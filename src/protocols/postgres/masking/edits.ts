/**
 * Replacements that do not keep the length, gathered while a run of messages is walked and carried out at its end: the
 * run is copied once, and the lengths of the values and messages they stand in are corrected. Replacements that keep
 * the length are made in place and never come here.
 */

interface Edit {
  readonly start: number;
  readonly end: number;
  /** Null: the value becomes NULL. */
  readonly instead: Buffer | null;
  /** Position of the int32 length of the value; -1 where values have none. */
  readonly lengthAt: number;
  /** Position of the message's type byte. */
  readonly messageAt: number;
}

export class Edits {
  readonly #edits: Edit[] = [];
  /** Message and value that are being walked. */
  messageAt = 0;
  lengthAt = -1;

  get empty(): boolean {
    return this.#edits.length === 0;
  }

  replace(start: number, end: number, instead: Buffer): void {
    const { lengthAt, messageAt } = this;
    this.#edits.push({ start, end, instead, lengthAt, messageAt });
  }

  /** The whole value becomes NULL; it must have a length. */
  nullify(start: number, end: number): void {
    const { lengthAt, messageAt } = this;
    this.#edits.push({ start, end, instead: null, lengthAt, messageAt });
  }

  /** A copy of `bytes[start, end)` with all replacements, which are forgotten. */
  apply(bytes: Buffer, start: number, end: number): Buffer {
    const edits = this.#ordered();
    this.#edits.length = 0;
    let growth = 0;
    for (const edit of edits) growth += (edit.instead?.length ?? 0) - (edit.end - edit.start);
    const out = Buffer.allocUnsafeSlow(end - start + growth);
    let from = start;
    let to = 0;
    let [message, messageTo, length, lengthTo] = [-1, 0, -1, 0];
    for (const edit of edits) {
      // A position before this edit and not before the last one moves with the bytes between them.
      if (edit.messageAt !== message) [message, messageTo] = [edit.messageAt, to + edit.messageAt - from];
      if (edit.lengthAt !== length) [length, lengthTo] = [edit.lengthAt, to + edit.lengthAt - from];
      bytes.copy(out, to, from, edit.start);
      to += edit.start - from;
      if (edit.instead !== null) to += edit.instead.copy(out, to);
      from = edit.end;
      const delta = (edit.instead?.length ?? 0) - (edit.end - edit.start);
      out.writeInt32BE(out.readInt32BE(messageTo + 1) + delta, messageTo + 1);
      if (edit.lengthAt === -1) continue;
      out.writeInt32BE(edit.instead === null ? -1 : out.readInt32BE(lengthTo) + delta, lengthTo);
    }
    bytes.copy(out, to, from, end);
    return out;
  }

  /** By position; of a value that becomes NULL nothing else counts. */
  #ordered(): Edit[] {
    const nulls = new Set<number>();
    for (const edit of this.#edits) if (edit.instead === null) nulls.add(edit.lengthAt);
    const nullified = new Set<number>();
    const edits = this.#edits.filter((edit) => {
      if (edit.instead !== null) return !nulls.has(edit.lengthAt);
      if (nullified.has(edit.lengthAt)) return false;
      nullified.add(edit.lengthAt);
      return true;
    });
    return edits.toSorted((a, b) => a.start - b.start);
  }
}
