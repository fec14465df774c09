/**
 * From the entries on disk, in order, to the root that was signed, comparing every tile on the way. Memory holds one
 * bundle and the tree's right edge.
 */
import { bundleBytes, splitBundle, splitTile, TreeEdge, tilePath, tilesAt, tileWidth } from '../log/tile.ts';
import { hashBytes, leafHash, type Hash } from '../log/tlog.ts';
import { within, type Location } from '../location.ts';
import { readIfThere } from '../regular-file.ts';
import type { Findings } from './finding.ts';

/** Bundles that are read before they are needed. */
const readAhead = 4;

interface StoredTile {
  readonly bytes: Buffer;
  readonly width: number;
}
interface Stored {
  readonly bundle: StoredTile | null;
  readonly tile: StoredTile | null;
}

export class TreeCheck {
  readonly #log: Location;
  readonly #size: number;
  readonly #findings: Findings;
  readonly #edge = new TreeEdge();
  /** Tiles above level 0 that became full with the last bundle. */
  readonly #full: { level: number; n: number; hashes: readonly Hash[] }[] = [];
  /** False once neither entries nor hashes of some bundle are there: the root cannot be computed. */
  #complete = true;

  /** @param log the log's directory */
  constructor(log: Location, size: number, findings: Findings) {
    this.#log = log;
    this.#size = size;
    this.#findings = findings;
  }

  /** Calls `leaf` with each entry, `reached` at each size of the tree, and `missing` where entries cannot be read. */
  async readAll(
    leaf: (entry: Buffer, index: number) => void | Promise<void>,
    reached: (size: number, root: () => Hash) => void,
    missing: () => void,
  ): Promise<void> {
    reached(0, () => this.#edge.root());
    const bundles = Math.ceil(this.#size / tileWidth);
    // Reads the next bundles while one is hashed.
    const ahead: Promise<Stored>[] = [];
    for (let n = 0; n < bundles && this.#complete; n++) {
      while (ahead.length < readAhead && n + ahead.length < bundles) ahead.push(this.#read(n + ahead.length));
      const stored = await ahead.shift()!;
      const entries = this.#entries(n, stored);
      if (entries === null) missing();
      for (const [i, hash] of this.#leaves(n, entries, this.#hashes(n, stored)).entries()) {
        this.#edge.append(hash, (level, at, full) => this.#full.push({ level, n: at, hashes: full }));
        const index = n * tileWidth + i;
        const entry = entries?.[i];
        const pending = entry === undefined ? undefined : leaf(entry, index);
        if (pending !== undefined) await pending;
        reached(index + 1, () => this.#edge.root());
      }
      await this.#checkFullTiles();
    }
    await Promise.allSettled(ahead);
  }

  /** Compares with the signed root, and the tiles that are not full. */
  async finish(root: Hash): Promise<void> {
    if (!this.#complete) {
      this.#findings.failure(
        'root-mismatch',
        'the root cannot be computed: entries and their hashes are missing',
      );
      return;
    }
    if (!this.#edge.root().equals(root))
      this.#findings.failure('root-mismatch', 'the entries do not give the root that was signed');
    for (let level = 1; level < this.#edge.height; level++) {
      const { full, partial } = tilesAt(level, this.#size);
      if (partial > 0) await this.#checkTile(level, full, this.#edge.partial(level));
    }
  }

  #width(n: number): number {
    return Math.min(tileWidth, this.#size - n * tileWidth);
  }

  #read(n: number): Promise<Stored> {
    const width = this.#width(n);
    const reading = Promise.all([this.#file('entries', n, width), this.#file(0, n, width)]).then(
      ([bundle, tile]) => ({ bundle, tile }),
    );
    // It is waited for later; until then its failure is not unhandled.
    reading.catch(() => undefined);
    return reading;
  }

  #hashes(n: number, { tile }: Stored): Hash[] | null {
    const width = this.#width(n);
    if (tile === null) {
      this.#findings.failure('tile-missing', 'a tile of hashes is missing', { file: name(0, n, width) });
      return null;
    }
    if (tile.bytes.length === tile.width * hashBytes)
      return splitTile(tile.bytes, tile.width).slice(0, width);
    const message = 'a tile has another length than its name says';
    this.#findings.failure('tile-mismatch', message, { file: name(0, n, tile.width) });
    return null;
  }

  #entries(n: number, { bundle }: Stored): Buffer[] | null {
    const [index, width] = [n * tileWidth, this.#width(n)];
    if (bundle === null) {
      const message = `entries ${index} to ${index + width - 1} are missing`;
      this.#findings.failure('entries-missing', message, { index, file: name('entries', n, width) });
      return null;
    }
    try {
      return splitBundle(bundle.bytes, bundle.width).slice(0, width);
    } catch {
      const message = `entries ${index} to ${index + width - 1} are cut, or others were added`;
      this.#findings.failure('entries-malformed', message, { index, file: name('entries', n, bundle.width) });
      return null;
    }
  }

  /** Hashes of the entries; where those are gone, what the tile says of them, so that the rest can be checked. */
  #leaves(n: number, entries: readonly Buffer[] | null, hashes: readonly Hash[] | null): readonly Hash[] {
    if (entries === null) {
      if (hashes === null) this.#complete = false;
      return hashes ?? [];
    }
    const leaves = entries.map(leafHash);
    if (hashes === null) return leaves;
    const differing = leaves.flatMap((leaf, i) => (leaf.equals(hashes[i]!) ? [] : [n * tileWidth + i]));
    if (differing.length > 0) {
      const [first, last] = [differing[0]!, differing.at(-1)!];
      const which =
        first === last ? `entry ${first} is` : `${differing.length} of the entries ${first} to ${last} are`;
      const message = `${which} not what the tile of hashes says`;
      this.#findings.failure('entry-mismatch', message, {
        index: first,
        file: name('entries', n, entries.length),
      });
    }
    return leaves;
  }

  async #checkFullTiles(): Promise<void> {
    for (const { level, n, hashes } of this.#full.splice(0))
      if (level > 0) await this.#checkTile(level, n, hashes);
  }

  async #checkTile(level: number, n: number, hashes: readonly Hash[]): Promise<void> {
    const file = name(level, n, hashes.length);
    const tile = await this.#file(level, n, hashes.length);
    if (tile === null) this.#findings.failure('tile-missing', 'a tile of hashes is missing', { file });
    else if (
      tile.bytes.length !== tile.width * hashBytes ||
      !tile.bytes.subarray(0, hashes.length * hashBytes).equals(Buffer.concat(hashes))
    )
      this.#findings.failure('tile-mismatch', 'a tile has other hashes than its entries', { file });
  }

  /** The tile of this width, or the full one when the log has grown since its checkpoint was read. */
  async #file(level: number | 'entries', n: number, width: number): Promise<StoredTile | null> {
    const limit = level === 'entries' ? bundleBytes : tileWidth * hashBytes;
    const partial = await readIfThere(within(this.#log, tilePath(level, n, width)), limit);
    if (partial !== null) return { bytes: partial, width };
    const full = width === tileWidth ? null : await readIfThere(within(this.#log, tilePath(level, n)), limit);
    return full === null ? null : { bytes: full, width: tileWidth };
  }
}

const name = (level: number | 'entries', n: number, width: number): string =>
  `log/${tilePath(level, n, width)}`;
