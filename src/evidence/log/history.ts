/**
 * Acknowledged entries as far as memory needs them: the tree's right edge, and what the next publication writes. Bounded by
 * what was appended since the last checkpoint plus one bundle.
 */
import type { CheckpointSigner } from './note.ts';
import type { Snapshot } from './publication.ts';
import type { Recovered } from './recovery.ts';
import { frameEntry, tileWidth, type TreeEdge } from './tile.ts';
import { leafHash, type Hash } from './tlog.ts';

const bundleStart = (index: number): number => Math.floor(index / tileWidth) * tileWidth;

/** The log has an entry that hands it over, and the old key has not signed the tree that ends with it. */
export interface PendingHandover {
  readonly next: CheckpointSigner;
  readonly leaf: Buffer;
  /** Of that tree. */
  readonly snapshot: Snapshot;
}

export class History {
  readonly #edge: TreeEdge;
  #published: number;
  #framed: Buffer[];
  #unpublishedBytes = 0;
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

  /** Of the entries that no checkpoint names yet. */
  get unpublishedBytes(): number {
    return this.#unpublishedBytes;
  }

  append(entry: Buffer): void {
    this.#unpublishedBytes += entry.length;
    this.#framed.push(frameEntry(entry));
    this.#edge.append(leafHash(entry), (level, n, hashes) => this.#fullTiles.push({ level, n, hashes }));
  }

  /**
   * Appends what recovery found.
   * @param rotation the key that an entry hands the log over to, null for every other
   * @returns the hand-over among them
   */
  take(
    entries: readonly Buffer[],
    rotation: (entry: Buffer) => CheckpointSigner | null,
  ): PendingHandover | null {
    let handover: PendingHandover | null = null;
    for (const leaf of entries) {
      this.append(leaf);
      const next = rotation(leaf);
      if (next !== null) handover = { next, leaf, snapshot: this.snapshot() };
    }
    return handover;
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
    this.#unpublishedBytes = this.unpublished().reduce((sum, entry) => sum + entry.length, 0);
  }
}
