/**
 * Files of a machine that may die: beside the real files it keeps what is durable, by the rules of POSIX (data after
 * fdatasync, names after fsync of their directory), and makes any image that a lost machine may leave.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { durableFiles, type AppendFile, type DurableFiles } from '../../../src/system/durable-file.ts';

interface File {
  content: Buffer;
  /** Length up to which the content is on disk. */
  synced: number;
}
interface Directory {
  readonly now: Map<string, File | Directory>;
  onDisk: Map<string, File | Directory>;
}

const directory = (): Directory => ({ now: new Map(), onDisk: new Map() });
const isDirectory = (node: File | Directory): node is Directory => 'now' in node;

/** What stops the world at a step; never resolves. */
const dead = new Promise<never>(() => undefined);

export class LossyFiles implements DurableFiles {
  readonly #root: string;
  readonly #tree = directory();
  readonly #diesAt: number;
  steps = 0;
  /** Resolves when step `diesAt` was reached. */
  readonly died: Promise<void>;
  #die!: () => void;

  /** @param root an existing, empty directory @param diesAt the step that is not done any more */
  constructor(root: string, diesAt: number) {
    this.#root = root;
    this.#diesAt = diesAt;
    this.died = new Promise((resolve) => (this.#die = resolve));
  }

  async #step(): Promise<void> {
    this.steps += 1;
    if (this.steps < this.#diesAt) return;
    this.#die();
    await dead;
  }

  #directory(name: string): Directory {
    let found = this.#tree;
    for (const part of path.relative(this.#root, name).split('/')) {
      if (part === '') continue;
      const next = found.now.get(part);
      if (next === undefined || !isDirectory(next)) throw new Error(`no directory ${name}`);
      found = next;
    }
    return found;
  }

  read(file: string): Promise<Buffer | null> {
    return durableFiles.read(file);
  }

  async create(file: string): Promise<AppendFile> {
    await this.#step();
    const node: File = { content: Buffer.alloc(0), synced: 0 };
    this.#directory(path.dirname(file)).now.set(path.basename(file), node);
    const real = await durableFiles.create(file);
    return {
      append: async (bytes) => {
        node.content = Buffer.concat([node.content, bytes]);
        await this.#step();
        await real.append(bytes);
      },
      sync: async () => {
        await this.#step();
        node.synced = node.content.length;
      },
      close: () => real.close(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step();
    const { now } = this.#directory(path.dirname(from));
    now.set(path.basename(to), now.get(path.basename(from))!);
    now.delete(path.basename(from));
    await durableFiles.rename(from, to);
  }

  async makeDirectory(name: string): Promise<boolean> {
    const made = await durableFiles.makeDirectory(name);
    if (!made) return false;
    await this.#step();
    this.#directory(path.dirname(name)).now.set(path.basename(name), directory());
    return true;
  }

  async syncDirectory(name: string): Promise<void> {
    await this.#step();
    if (!name.startsWith(this.#root)) return;
    const node = this.#directory(name);
    node.onDisk = new Map(node.now);
  }

  async remove(target: string): Promise<void> {
    await this.#step();
    this.#directory(path.dirname(target)).now.delete(path.basename(target));
    await durableFiles.remove(target);
  }

  /** One of the images that may be found after the machine died now. @param chance a number in [0, 1) */
  image(into: string, chance: () => number): void {
    const write = (node: File | Directory, at: string): void => {
      if (isDirectory(node)) {
        mkdirSync(at, { recursive: true });
        for (const name of new Set([...node.onDisk.keys(), ...node.now.keys()])) {
          const child = (chance() < 0.5 ? node.onDisk : node.now).get(name);
          if (child !== undefined) write(child, path.join(at, name));
        }
        return;
      }
      // Of what was not synced: some length of it, and perhaps zeros where a block did not make it.
      const rest = Buffer.from(node.content.subarray(node.synced));
      const kept = rest.subarray(0, Math.floor(chance() * (rest.length + 1)));
      if (chance() < 0.3)
        kept.fill(0, Math.floor(chance() * kept.length), Math.floor(chance() * kept.length));
      writeFileSync(at, Buffer.concat([node.content.subarray(0, node.synced), kept]));
    };
    write(this.#tree, into);
  }
}
