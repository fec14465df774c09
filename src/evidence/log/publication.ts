/**
 * From durable entries to files that anybody can verify: tiles, then the checkpoint that names them.
 *
 * Order, and what a crash after each step leaves behind:
 *  0. the checkpoint is signed, in memory: when whatever holds the key does not sign, nothing has been written.
 *  1. entry bundles and tiles, each by temporary file, fdatasync and rename: files that no checkpoint names yet. They
 *     hold only acknowledged entries, so a later publication writes the very same bytes under the same names.
 *  2. their directories are synced: as above.
 *  3. the checkpoint is replaced: the old one or the new one, and either's tiles are all on disk.
 *  4. its directory is synced: only now is the publication counted, and the journal may shrink.
 *  5. partial tiles of a full one are removed: left over they do no harm.
 */
import path from 'node:path';
import { replaceFile, type DurableFiles } from '../../system/durable-file.ts';
import { formatHandover, handoverPath } from './handover.ts';
import type { NoteVerifier } from './note.ts';
import { overTiles } from './proofs.ts';
import { tilePath, tilesAt, tileWidth, type TileLevel } from './tile.ts';
import { inclusionProof, type Hash } from './tlog.ts';

/** What one publication writes; taken at one moment, so that the log may grow meanwhile. */
export interface Snapshot {
  readonly size: number;
  readonly root: Hash;
  /** Size of the checkpoint before. */
  readonly before: number;
  /** Framed entries from `framedFrom` (start of the bundle that `before` falls into) to `size`. */
  readonly framed: readonly Buffer[];
  readonly framedFrom: number;
  /** Tiles of hashes that became full since the checkpoint before. */
  readonly fullTiles: readonly {
    readonly level: number;
    readonly n: number;
    readonly hashes: readonly Hash[];
  }[];
  /** Tiles of hashes that are not full, lowest level first. */
  readonly partials: readonly (readonly Hash[])[];
}

export class Publisher {
  readonly #files: DurableFiles;
  readonly #directory: string;
  /** Directories whose own names are known to be on disk; only saves work, so it may be emptied. */
  readonly #durable = new Set<string>();

  constructor(files: DurableFiles, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  /**
   * Rejects with the system's error when a step failed; then nothing was published, and it may be done again.
   * @param signed the checkpoint of the snapshot, as a note
   */
  async publish(snapshot: Snapshot, signed: string): Promise<void> {
    await this.#writeTiles(snapshot);
    await this.writeCheckpoint(signed);
  }

  /**
   * The same for the tree that ends with a hand-over. Its proof is durable before the checkpoint that covers it: whoever
   * finds the entry under a checkpoint finds the proof.
   * @param signed by the old key
   */
  async publishHandover(
    snapshot: Snapshot,
    signed: string,
    { from, leaf }: { readonly from: NoteVerifier; readonly leaf: Buffer },
  ): Promise<void> {
    await this.#writeTiles(snapshot);
    const { size } = snapshot;
    const read = (name: string) => this.#files.read(path.join(this.#directory, name));
    const proof = await overTiles(size, read, (nodes) => inclusionProof(size - 1, size, nodes));
    const name = path.join(this.#directory, handoverPath(from.toString()));
    await this.#files.makeDirectory(path.dirname(name));
    await this.#files.syncDirectory(this.#directory);
    await replaceFile(this.#files, name, Buffer.from(formatHandover(leaf, size - 1, proof, signed)));
    await this.#files.syncDirectory(path.dirname(name));
    await this.writeCheckpoint(signed);
  }

  /** Steps 3 and 4 alone, for a note of the same checkpoint with other signatures. */
  async writeCheckpoint(signed: string): Promise<void> {
    await replaceFile(this.#files, path.join(this.#directory, 'checkpoint'), Buffer.from(signed));
    await this.#files.syncDirectory(this.#directory);
  }

  async #writeTiles(snapshot: Snapshot): Promise<void> {
    const touched = new Set<string>();
    if (this.#durable.size > 1000) this.#durable.clear();
    await this.#writeBundles(snapshot, touched);
    for (const { level, n, hashes } of snapshot.fullTiles) {
      await this.#writeTile(tilePath(level, n), Buffer.concat(hashes), touched);
    }
    for (const [level, hashes] of snapshot.partials.entries()) {
      const [now, then] = [tilesAt(level, snapshot.size), tilesAt(level, snapshot.before)];
      if (now.partial === 0 || (now.full === then.full && now.partial === then.partial)) continue;
      await this.#writeTile(tilePath(level, now.full, now.partial), Buffer.concat(hashes), touched);
    }
    for (const directory of touched) await this.#files.syncDirectory(directory);
    for (const directory of touched) this.#durable.add(directory);
  }

  /** Step 5, after `publish`. */
  async removePartials(snapshot: Snapshot): Promise<void> {
    const full: { level: TileLevel; n: number }[] = [...snapshot.fullTiles];
    for (const { level, n } of snapshot.fullTiles) if (level === 0) full.push({ level: 'entries', n });
    for (const { level, n } of full) {
      await this.#files.remove(path.join(this.#directory, `${tilePath(level, n)}.p`));
    }
  }

  async #writeBundles(snapshot: Snapshot, touched: Set<string>): Promise<void> {
    const { framed, framedFrom, size, before } = snapshot;
    for (let from = framedFrom; from < size; from += tileWidth) {
      const to = Math.min(from + tileWidth, size);
      if (to <= before) continue;
      const bundle = Buffer.concat(framed.slice(from - framedFrom, to - framedFrom));
      await this.#writeTile(tilePath('entries', from / tileWidth, to - from), bundle, touched);
    }
  }

  async #writeTile(name: string, bytes: Buffer, touched: Set<string>): Promise<void> {
    const file = path.join(this.#directory, name);
    await this.#makeParents(name, touched);
    await replaceFile(this.#files, file, bytes);
    touched.add(path.dirname(file));
  }

  async #makeParents(name: string, touched: Set<string>): Promise<void> {
    let parent = this.#directory;
    for (const part of name.split('/').slice(0, -1)) {
      const child = path.join(parent, part);
      if (!this.#durable.has(child)) {
        await this.#files.makeDirectory(child);
        // Also when it was there already: a failed publication may have made it and not come to sync its parent.
        touched.add(parent);
      }
      parent = child;
    }
  }
}
