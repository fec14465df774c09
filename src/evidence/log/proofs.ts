/** Merkle proofs (tlog.ts) of a tree whose tiles are files: the tiles that a proof needs are read, and no others. */
import { nodesOfTiles, splitTile, tilePath, tilesAt, tileWidth } from './tile.ts';
import { hashBytes, type Hash, type NodeReader } from './tlog.ts';

class TileWanted extends Error {
  readonly level: number;
  readonly n: number;

  constructor(level: number, n: number) {
    super('a tile is not read yet');
    this.level = level;
    this.n = n;
  }
}

/**
 * What `compute` makes of the tree's nodes. It is run again each time it has met a tile that was not read yet: a proof
 * needs a few tiles, and reads nothing else.
 * @param read a file below the log's directory; null when there is none
 * @throws RangeError when a tile is missing or not whole
 */
export async function overTiles<T>(
  size: number,
  read: (name: string) => Promise<Buffer | null>,
  compute: (nodes: NodeReader) => T,
): Promise<T> {
  const tiles = new Map<string, readonly Hash[]>();
  const nodes = nodesOfTiles((level, n) => {
    const tile = tiles.get(`${level}/${n}`);
    if (tile === undefined) throw new TileWanted(level, n);
    return tile;
  });
  for (;;) {
    try {
      return compute(nodes);
    } catch (error) {
      if (!(error instanceof TileWanted)) throw error;
      tiles.set(`${error.level}/${error.n}`, await readTile(size, error, read));
    }
  }
}

async function readTile(
  size: number,
  { level, n }: { readonly level: number; readonly n: number },
  read: (name: string) => Promise<Buffer | null>,
): Promise<Hash[]> {
  const { full, partial } = tilesAt(level, size);
  const width = n < full ? tileWidth : partial;
  // A partial tile goes when it is full; the full one begins with it.
  for (const candidate of new Set([width, tileWidth])) {
    const bytes = await read(tilePath(level, n, candidate));
    if (bytes?.length === candidate * hashBytes) return splitTile(bytes, candidate).slice(0, width);
  }
  throw new RangeError(`the log’s file ${tilePath(level, n, width)} is missing or not whole`);
}
