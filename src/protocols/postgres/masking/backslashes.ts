/**
 * Which values have a backslash in them, for values that are asked about in the order in which they stand in a buffer: what
 * has none is read as it is, and a buffer without any is searched once instead of once for each value.
 */
const backslash = 0x5c;

export class Backslashes {
  /** The first backslash at or behind the place that was asked for last. */
  next = -1;

  /** Nothing is known of what stands from `start` on. */
  forget(start: number): void {
    this.next = start - 1;
  }

  /** There is one in `bytes[start, end)`. */
  within(bytes: Buffer, start: number, end: number): boolean {
    if (this.next < start) {
      const next = bytes.indexOf(backslash, start);
      this.next = next === -1 ? bytes.length : next;
    }
    return this.next < end;
  }
}
