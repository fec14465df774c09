/**
 * Tiles: how the log lies in files, https://c2sp.org/tlog-tiles. A tile holds up to 256 hashes of one level (tile level L
 * holds the tree's level 8·L); an entry bundle holds the same up to 256 leaves as `uint16 big-endian length ‖ entry`.
 * Full tiles never change; a partial tile's name carries its width, so that it never changes either.
 *
 * Pure: paths and bytes only.
 */
import { hashBytes, nodeHash, treeHash, emptyRoot, type Hash, type NodeReader } from './tlog.ts';

/** Hashes in a full tile. */
export const tileWidth = 256;
/** Longest bundle of entries. */
export const bundleBytes = tileWidth * (2 + 65_535);

/** 0 and up are levels of hashes; `entries` are the bundles below them. */
export type TileLevel = number | 'entries';

/** `1234067` → `x001/x234/067`. */
function groups(n: number): string {
  const digits = String(n);
  const parts: string[] = [];
  for (let end = digits.length; end > 0; end -= 3) {
    parts.unshift(digits.slice(Math.max(0, end - 3), end).padStart(3, '0'));
  }
  return parts.map((part, i) => (i < parts.length - 1 ? `x${part}` : part)).join('/');
}

/** Path below the log's directory. `width` 256 names the full tile. */
export function tilePath(level: TileLevel, n: number, width: number = tileWidth): string {
  const partial = width === tileWidth ? '' : `.p/${width}`;
  return `tile/${level}/${groups(n)}${partial}`;
}

export interface TileName {
  readonly level: TileLevel;
  readonly n: number;
  readonly width: number;
}

/** The inverse of `tilePath`; null for anything that C2SP does not name. */
export function parseTilePath(path: string): TileName | null {
  const match = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  if (match === null) return null;
  const level: TileLevel = match[1] === 'entries' ? 'entries' : Number(match[1]);
  const n = Number(match[2]!.replaceAll(/[x/]/g, ''));
  const width = match[3] === undefined ? tileWidth : Number(match[3]);
  const name = { level, n, width };
  if (!Number.isSafeInteger(n) || (typeof level === 'number' && level > 63)) return null;
  if (match[3] !== undefined && width >= tileWidth) return null;
  return tilePath(level, n, width) === path ? name : null;
}

/** Every tile of a tree of `size` leaves at one level: `full` full ones, then one of `partial` hashes unless that is 0. */
export function tilesAt(level: number, size: number): { full: number; partial: number } {
  let hashes = size;
  for (let i = 0; i < level; i++) hashes = Math.floor(hashes / tileWidth);
  return { full: Math.floor(hashes / tileWidth), partial: hashes % tileWidth };
}

/** @throws RangeError when the bytes are not `width` hashes */
export function splitTile(bytes: Buffer, width: number): Hash[] {
  if (bytes.length !== width * hashBytes)
    throw new RangeError('a tile has another length than its name says');
  return Array.from({ length: width }, (_, i) => bytes.subarray(i * hashBytes, (i + 1) * hashBytes));
}

/** An entry as a bundle holds it: `uint16 length ‖ entry`. */
export function frameEntry(entry: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(2 + entry.length);
  framed.writeUInt16BE(entry.length, 0);
  framed.set(entry, 2);
  return framed;
}

/** @throws RangeError when the bytes are not exactly `width` entries */
export function splitBundle(bytes: Buffer, width: number): Buffer[] {
  const entries: Buffer[] = [];
  let at = 0;
  while (at < bytes.length && entries.length < width) {
    if (at + 2 > bytes.length) break;
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) break;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  if (entries.length !== width || at !== bytes.length)
    throw new RangeError('a bundle has other entries than its name says');
  return entries;
}

/**
 * Reads the tree's nodes from tiles.
 * @param hashesOf the hashes of a tile, at least as many as the tree has there
 */
export function nodesOfTiles(hashesOf: (level: number, n: number) => readonly Hash[]): NodeReader {
  return (level, index) => {
    const tileLevel = Math.floor(level / 8);
    const width = 2 ** (level % 8);
    const first = index * width;
    const tile = hashesOf(tileLevel, Math.floor(first / tileWidth));
    const start = first % tileWidth;
    const under = tile.slice(start, start + width);
    if (under.length !== width) throw new RangeError('the tile has no such hash');
    return treeHash(under);
  };
}

/** Takes each tile the moment it is full. */
export type FullTile = (level: number, n: number, hashes: readonly Hash[]) => void;

/**
 * The right edge of a growing tree: per level the hashes of the tile that is not full yet. Holds at most 255 hashes a
 * level, whatever the size.
 */
export class TreeEdge {
  #size = 0;
  readonly #levels: Hash[][] = [];

  /** @param levels the partial tiles of a tree of `size` leaves, lowest level first */
  static restore(size: number, levels: readonly (readonly Hash[])[]): TreeEdge {
    const edge = new TreeEdge();
    edge.#size = size;
    for (const hashes of levels) edge.#levels.push([...hashes]);
    return edge;
  }

  get size(): number {
    return this.#size;
  }

  /** How many levels have tiles, the empty partial ones included. */
  get height(): number {
    return this.#levels.length;
  }

  partial(level: number): readonly Hash[] {
    return this.#levels[level] ?? [];
  }

  append(leaf: Hash, full: FullTile): void {
    this.#size += 1;
    let hash = leaf;
    let count = this.#size;
    for (let level = 0; ; level++) {
      const hashes = (this.#levels[level] ??= []);
      hashes.push(hash);
      if (hashes.length < tileWidth) return;
      count /= tileWidth;
      this.#levels[level] = [];
      full(level, count - 1, hashes);
      hash = treeHash(hashes);
    }
  }

  root(): Hash {
    let root: Hash | null = null;
    for (const hashes of this.#levels) {
      for (const peak of peaks(hashes)) root = root === null ? peak : nodeHash(peak, root);
    }
    return root ?? emptyRoot;
  }
}

/** Roots of the perfect subtrees that a partial tile falls into, smallest (rightmost) first. */
function peaks(hashes: readonly Hash[]): Hash[] {
  const found: Hash[] = [];
  let end = hashes.length;
  for (let width = 1; end > 0; width *= 2) {
    if (Math.floor(end / width) % 2 === 0) continue;
    found.push(treeHash(hashes.slice(end - width, end)));
    end -= width;
  }
  return found;
}
