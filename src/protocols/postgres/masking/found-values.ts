/** Values of one buffer that are scanned together: where they stand, and what they are. Grows, and is reused. */
export class FoundValues {
  count = 0;
  starts = new Int32Array(1024);
  ends = new Int32Array(1024);
  /** Column of each. */
  columns = new Int16Array(1024);
  /** Which message of the run it stands in, which is one row. */
  rows = new Int32Array(1024);

  clear(): void {
    this.count = 0;
  }

  /** Makes room for `count` more. */
  reserve(count: number): void {
    while (this.count + count > this.starts.length) this.#grow();
  }

  add(start: number, end: number, column: number, row: number): void {
    const i = this.count;
    if (i === this.starts.length) this.#grow();
    this.starts[i] = start;
    this.ends[i] = end;
    this.columns[i] = column;
    this.rows[i] = row;
    this.count = i + 1;
  }

  #grow(): void {
    const size = 2 * this.starts.length;
    this.starts = copy(this.starts, new Int32Array(size));
    this.ends = copy(this.ends, new Int32Array(size));
    this.columns = copy(this.columns, new Int16Array(size));
    this.rows = copy(this.rows, new Int32Array(size));
  }
}

function copy<T extends Int32Array | Int16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
