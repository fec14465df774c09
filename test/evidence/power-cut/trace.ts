/**
 * System calls of a program, as strace saw them, as steps that a disk takes. Kernel and program are real and nothing is in
 * between, so that no write, from whichever thread or library, is forgotten.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Promised } from './promises.ts';

/** Paths are absolute; `file` and `directory` are descriptors' own objects. */
export type Step =
  | { readonly do: 'mkdir'; readonly path: string }
  | { readonly do: 'create'; readonly path: string; readonly truncate: boolean; readonly fd: number }
  | { readonly do: 'open'; readonly path: string; readonly fd: number }
  | { readonly do: 'close'; readonly fd: number }
  | { readonly do: 'write'; readonly fd: number; readonly bytes: Buffer; readonly at: number | null }
  | { readonly do: 'truncate'; readonly fd: number; readonly size: number }
  | { readonly do: 'rename'; readonly from: string; readonly to: string }
  | { readonly do: 'remove'; readonly path: string }
  /** What was written before its beginning is on disk at its end: `sync` pairs them. */
  | { readonly do: 'sync-begins'; readonly fd: number; readonly sync: number }
  | { readonly do: 'sync-ends'; readonly sync: number }
  | { readonly do: 'promise'; readonly promised: Promised };

const traced = [
  'openat',
  'open',
  'creat',
  'close',
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'pwritev2',
  'ftruncate',
  'truncate',
  'fallocate',
  'fsync',
  'fdatasync',
  'sync_file_range',
  'rename',
  'renameat',
  'renameat2',
  'link',
  'linkat',
  'unlink',
  'unlinkat',
  'mkdir',
  'mkdirat',
  'rmdir',
  'copy_file_range',
  'io_uring_setup',
];

/**
 * Runs a program under strace.
 * @param root what lies below it is followed
 * @throws Error when it fails, or does something below the root that is no step
 */
export function trace(args: readonly string[], root: string, env: NodeJS.ProcessEnv): Step[] {
  const file = path.join(root, 'strace');
  const straceArgs = ['-f', '-qq', '-xx', '-s', '10000000', '-e', `trace=${traced}`, '-e', 'signal=none'];
  const run = spawnSync('strace', [...straceArgs, '-o', file, process.execPath, ...args], { env });
  if (run.status !== 0) throw new Error(`strace ended with ${String(run.status)}: ${String(run.stderr)}`);
  return new Reader(root).read(readFileSync(file, 'latin1'));
}

interface Call {
  readonly name: string;
  readonly args: readonly string[];
  readonly result: number;
  /** Sync calls alone: their number. */
  readonly sync: number;
}

class Reader {
  readonly #root: string;
  readonly #steps: Step[] = [];
  /** Of what is followed. */
  readonly #fds = new Set<number>();
  readonly #unfinished = new Map<string, { text: string; sync: number }>();
  #syncs = 0;
  #said = '';

  constructor(root: string) {
    this.#root = root;
  }

  read(text: string): Step[] {
    for (const line of text.split('\n')) if (line !== '') this.#line(line);
    return this.#steps;
  }

  #line(line: string): void {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/s.exec(line) ?? [];
    if (/^(\+\+\+|---)/.test(rest)) return;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(rest);
    if (resumed !== null) {
      const begun = this.#unfinished.get(pid);
      this.#unfinished.delete(pid);
      if (begun !== undefined) this.#call(begun.text + resumed[1]!, begun.sync);
    } else if (rest.endsWith('<unfinished ...>')) {
      const text = rest.slice(0, -'<unfinished ...>'.length);
      this.#unfinished.set(pid, { text, sync: this.#begins(text) });
    } else this.#call(rest, this.#begins(rest));
  }

  #begins(text: string): number {
    const fd = Number(/^close\((\d+)/.exec(text)?.[1] ?? -1);
    // Its number may be given to another file before the call is over.
    if (this.#fds.delete(fd)) this.#steps.push({ do: 'close', fd });
    return this.#beginsSync(text);
  }

  #beginsSync(text: string): number {
    const fd = Number(/^f(?:data)?sync\((\d+)/.exec(text)?.[1] ?? -1);
    if (!this.#fds.has(fd)) return -1;
    this.#steps.push({ do: 'sync-begins', fd, sync: ++this.#syncs });
    return this.#syncs;
  }

  #call(text: string, sync: number): void {
    const [, name, inside, result] = /^(\w+)\((.*)\)\s+= (-?\d+|\?)/s.exec(text) ?? [];
    if (name === undefined) throw new Error(`not a call: ${text.slice(0, 200)}`);
    if (result === '?' || Number(result) < 0) return;
    const args = inside!.split(', ').map((arg) => arg.trim());
    const step = this.#step({ name, args, result: Number(result), sync });
    if (step !== null) this.#steps.push(step);
  }

  #step({ name, args, result, sync }: Call): Step | null {
    const fd = Number(args[0]);
    switch (name) {
      case 'openat':
      case 'open':
        return this.#opened(args.slice(name === 'openat' ? 1 : 0), result);
      case 'close':
        return null;
      case 'write':
        if (fd === 2) return this.#promised(bytesOf(args[1]!));
        if (!this.#fds.has(fd)) return null;
        return { do: 'write', fd, bytes: bytesOf(args[1]!).subarray(0, result), at: null };
      case 'pwrite64':
        if (!this.#fds.has(fd)) return null;
        return { do: 'write', fd, bytes: bytesOf(args[1]!).subarray(0, result), at: Number(args[3]) };
      case 'ftruncate':
        return this.#fds.has(fd) ? { do: 'truncate', fd, size: Number(args[1]) } : null;
      case 'fsync':
      case 'fdatasync':
        return sync < 0 ? null : { do: 'sync-ends', sync };
      case 'rename':
        return this.#follows(args[0]!)
          ? { do: 'rename', from: nameOf(args[0]!), to: nameOf(args[1]!) }
          : null;
      case 'unlink':
      case 'rmdir':
        return this.#follows(args[0]!) ? { do: 'remove', path: nameOf(args[0]!) } : null;
      case 'unlinkat':
        return this.#follows(args[1]!) ? { do: 'remove', path: nameOf(args[1]!) } : null;
      case 'mkdir':
        return this.#follows(args[0]!) ? { do: 'mkdir', path: nameOf(args[0]!) } : null;
      default:
        if (this.#fds.has(fd) || args.some((arg) => this.#follows(arg)))
          throw new Error(`${name} is no step that this test knows`);
        return null;
    }
  }

  #opened([name = '', flags = '']: readonly string[], fd: number): Step | null {
    this.#fds.delete(fd);
    if (!this.#follows(name)) return null;
    this.#fds.add(fd);
    if (!flags.includes('O_CREAT')) return { do: 'open', path: nameOf(name), fd };
    return { do: 'create', path: nameOf(name), truncate: flags.includes('O_TRUNC'), fd };
  }

  #follows(arg: string): boolean {
    return arg.startsWith('"') && nameOf(arg).startsWith(`${this.#root}/`);
  }

  /** Lines of JSON; others are the program's own business. */
  #promised(bytes: Buffer): Step | null {
    this.#said += bytes.toString();
    if (!this.#said.endsWith('\n')) return null;
    const line = this.#said;
    this.#said = '';
    return line.startsWith('{') ? { do: 'promise', promised: JSON.parse(line) as Promised } : null;
  }
}

/** `"\x2f\x74"`. */
const bytesOf = (arg: string): Buffer => {
  if (!arg.startsWith('"') || !arg.endsWith('"')) throw new Error(`not a whole string: ${arg.slice(0, 50)}`);
  return Buffer.from(arg.slice(1, -1).replaceAll('\\x', ''), 'hex');
};
const nameOf = (arg: string): string => bytesOf(arg).toString();
