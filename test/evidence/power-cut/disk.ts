/**
 * A disk that takes steps, and what may be found on it after the power went. By POSIX alone: what a file holds is on disk
 * after its fsync, names after that of their directory; of everything else any part, in any order.
 */
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Step } from './trace.ts';

interface FileNode {
  readonly changes: { readonly at: number; readonly bytes: Buffer | null }[];
  synced: number;
}
type Node = FileNode | DirectoryNode;
interface DirectoryNode {
  readonly names: Map<string, Node>;
  /** Each is atomic. */
  readonly changes: (readonly (readonly [name: string, node: Node | null])[])[];
  synced: number;
}

/** Is this change on disk? `null` for data: its blocks are allocated and hold zeros. `half`: it is torn. */
export type Fate = 'kept' | 'lost' | 'zeros' | 'half';
/** A kind of loss: the fate of the `n`th of `of` changes that were not synced. */
export interface Loss {
  readonly name: string;
  fate(n: number, of: number, what: 'name' | 'data'): Fate;
}

/** Paths below the root, and what they hold; null for a directory. */
export type Image = ReadonlyMap<string, Buffer | null>;

const directory = (): DirectoryNode => ({ names: new Map(), changes: [], synced: 0 });

export class Disk {
  readonly #root: string;
  readonly #tree = directory();
  readonly #fds = new Map<number, { readonly node: Node; offset: number }>();
  readonly #syncs = new Map<number, { readonly node: Node; readonly upTo: number }>();
  /** Directories that were there before. */
  readonly #given: RegExp;

  /** @param given directories of these names are on disk from the beginning */
  constructor(root: string, given: RegExp) {
    this.#root = root;
    this.#given = given;
  }

  take(step: Step): void {
    switch (step.do) {
      case 'mkdir':
        return this.#link(step.path, directory());
      case 'create':
        return this.#create(step);
      case 'open':
        return void this.#fds.set(step.fd, { node: this.#node(step.path)!, offset: 0 });
      case 'close':
        return void this.#fds.delete(step.fd);
      case 'write':
        return this.#write(step.fd, step.bytes, step.at);
      case 'truncate':
        return void this.#file(step.fd).changes.push({ at: step.size, bytes: null });
      case 'rename':
        return this.#rename(step.from, step.to);
      case 'remove':
        return this.#change(path.dirname(step.path), [[path.basename(step.path), null]]);
      case 'sync-begins': {
        const { node } = this.#fds.get(step.fd)!;
        return void this.#syncs.set(step.sync, { node, upTo: node.changes.length });
      }
      case 'sync-ends': {
        const { node, upTo } = this.#syncs.get(step.sync)!;
        node.synced = Math.max(node.synced, upTo);
        return;
      }
      case 'promise':
        return;
    }
  }

  /** Changes that are not on disk for sure. */
  get unsynced(): number {
    let count = 0;
    this.#walk(this.#tree, (node) => (count += node.changes.length - node.synced));
    return count;
  }

  /** What is found after a power cut now, if losses are like that. */
  image(loss: Loss): Image {
    const of = this.unsynced;
    let n = 0;
    const fates = new Map<object, Fate>();
    this.#walk(this.#tree, (node) => {
      for (const change of node.changes.slice(node.synced))
        fates.set(change, loss.fate(n++, of, 'names' in node ? 'name' : 'data'));
    });
    const image = new Map<string, Buffer | null>();
    found(this.#tree, '', fates, image);
    return image;
  }

  /** Every node that any change names, once. */
  #walk(from: DirectoryNode, visit: (node: Node) => void, seen = new Set<Node>()): void {
    if (seen.has(from)) return;
    seen.add(from);
    visit(from);
    for (const change of from.changes)
      for (const [, node] of change) {
        if (node === null || seen.has(node)) continue;
        if ('names' in node) this.#walk(node, visit, seen);
        else {
          seen.add(node);
          visit(node);
        }
      }
  }

  #node(file: string): Node | undefined {
    let node: Node | undefined = this.#tree;
    for (const part of path.relative(this.#root, file).split('/')) {
      if (part === '') continue;
      node = node !== undefined && 'names' in node ? node.names.get(part) : undefined;
    }
    return node;
  }

  #directory(name: string): DirectoryNode {
    const node = this.#node(name);
    if (node === undefined || !('names' in node)) throw new Error(`no directory ${name}`);
    return node;
  }

  #file(fd: number): FileNode {
    const open = this.#fds.get(fd);
    if (open === undefined || 'names' in open.node) throw new Error(`descriptor ${fd} is no file`);
    return open.node;
  }

  #create({ path: file, truncate, fd }: Extract<Step, { do: 'create' }>): void {
    let node = this.#node(file);
    if (node === undefined) {
      node = { changes: [], synced: 0 };
      this.#link(file, node);
    } else if (truncate && !('names' in node)) node.changes.push({ at: 0, bytes: null });
    this.#fds.set(fd, { node, offset: 0 });
  }

  #write(fd: number, bytes: Buffer, at: number | null): void {
    const open = this.#fds.get(fd)!;
    const node = this.#file(fd);
    node.changes.push({ at: at ?? open.offset, bytes });
    if (at === null) open.offset += bytes.length;
  }

  #link(file: string, node: Node): void {
    const parent = path.dirname(file);
    this.#change(parent, [[path.basename(file), node]]);
    if (this.#given.test(path.basename(file))) this.#directory(parent).synced = 1;
  }

  #rename(from: string, to: string): void {
    if (path.dirname(from) !== path.dirname(to)) throw new Error('renamed to another directory');
    const node = this.#node(from)!;
    this.#change(path.dirname(from), [
      [path.basename(from), null],
      [path.basename(to), node],
    ]);
  }

  #change(name: string, change: DirectoryNode['changes'][number]): void {
    const { names, changes } = this.#directory(name);
    for (const [entry, node] of change) {
      if (node === null) names.delete(entry);
      else names.set(entry, node);
    }
    changes.push(change);
  }
}

function found(
  node: DirectoryNode,
  at: string,
  fates: Map<object, Fate>,
  image: Map<string, Buffer | null>,
): void {
  const names = new Map<string, Node>();
  for (const change of node.changes) {
    if ((fates.get(change) ?? 'kept') !== 'kept') continue;
    for (const [name, child] of change) {
      if (child === null) names.delete(name);
      else names.set(name, child);
    }
  }
  for (const [name, child] of names) {
    const file = path.join(at, name);
    if ('names' in child) {
      image.set(file, null);
      found(child, file, fates, image);
    } else image.set(file, content(child, fates));
  }
}

function content({ changes }: FileNode, fates: Map<object, Fate>): Buffer {
  let held = Buffer.alloc(0);
  const grow = (size: number): void => {
    if (size > held.length) held = Buffer.concat([held, Buffer.alloc(size - held.length)]);
  };
  for (const change of changes) {
    const fate = fates.get(change) ?? 'kept';
    const { at, bytes } = change;
    if (fate === 'lost') continue;
    if (bytes === null) {
      grow(at);
      held = held.subarray(0, at);
      continue;
    }
    grow(at + bytes.length);
    if (fate === 'zeros') held.fill(0, at, at + bytes.length);
    else bytes.copy(held, at, 0, fate === 'half' ? bytes.length >> 1 : bytes.length);
  }
  return held;
}

export function writeImage(image: Image, into: string): void {
  for (const [name, held] of image) {
    const file = path.join(into, name);
    if (held === null) mkdirSync(file, { recursive: true, mode: 0o700 });
    else writeFileSync(file, held, { mode: 0o600 });
  }
}

export const digestOf = (image: Image): string =>
  hash(
    'sha256',
    [...image]
      .map(([name, held]) => `${name} ${held === null ? '' : hash('sha256', held, 'hex')}`)
      .toSorted()
      .join('\n'),
    'hex',
  );
