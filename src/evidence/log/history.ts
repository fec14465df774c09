/**
 * Acknowledged entries as far as memory needs them: the tree's right edge, and what the next publication writes. Bounded by
 * what was appended since the last checkpoint plus one bundle.
 */
import type { Snapshot } from './publication.ts';
import type { Recovered } from './recovery.ts';
import { frameEntry, tileWidth, type TreeEdge } from './tile.ts';
import { leafHash, type Hash } from './tlog.ts';

const bundleStart = (index: number): number => Math.floor(index / tileWidth) * tileWidth;

export class History {
  readonly #edge: TreeEdge;
  #published: number;
  #framed: Buffer[];
  #fullTiles: { level: number; n: number; hashes: readonly Hash[] }[] = [];

  constructor(recovered: Pick<Recovered, 'published' | 'edge' | 'framed'>) {
    this.#edge = recovered.edge;
    this.#published = recovered.published;
    this.#framed = [...recovered.framed];
  }

  get size(): number {
    return this.#edge.size;
  }

  /** Size of the last checkpoint on disk. */
  get published(): number {
    return this.#published;
  }

  append(entry: Buffer): void {
    this.#framed.push(frameEntry(entry));
    this.#edge.append(leafHash(entry), (level, n, hashes) => this.#fullTiles.push({ level, n, hashes }));
  }

  /** Entries that no checkpoint names yet. */
  unpublished(): Buffer[] {
    const from = this.#published - bundleStart(this.#published);
    return this.#framed.slice(from).map((framed) => framed.subarray(2));
  }

  snapshot(): Snapshot {
    return {
      size: this.#edge.size,
      root: this.#edge.root(),
      before: this.#published,
      framed: [...this.#framed],
      framedFrom: bundleStart(this.#published),
      fullTiles: [...this.#fullTiles],
      partials: Array.from({ length: this.#edge.height }, (_, level) => [...this.#edge.partial(level)]),
    };
  }

  /** The snapshot is on disk: forgets what only it needed. */
  markPublished(snapshot: Snapshot): void {
    this.#framed = this.#framed.slice(bundleStart(snapshot.size) - snapshot.framedFrom);
    this.#fullTiles = this.#fullTiles.slice(snapshot.fullTiles.length);
    this.#published = snapshot.size;
  }
}
