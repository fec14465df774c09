/**
 * Runs programs as a person would, above all the real `hoop` binary: its own process, its own environment, its output
 * as it comes. Nothing of the program is imported here.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { HoopError } from '../../errors.ts';

/** `program-ended`: a program that was to go on, or to say something, ended first; the text says its last words. */
export class ProgramError extends HoopError<'program-ended'> {}

/** The package's `bin/run.js`; the same from `src/` and from `dist/`. */
export const hoopBinary = path.resolve(import.meta.dirname, '../../../bin/run.js');

/** Every program that runs now. None outlives this process. */
const alive = new Map<ChildProcess, Promise<unknown>>();
process.once('exit', () => {
  for (const child of alive.keys()) child.kill('SIGKILL');
});

function keep(child: ChildProcess): void {
  const ended = new Promise<void>((resolve) => {
    const over = () => {
      alive.delete(child);
      resolve();
    };
    child.once('error', over);
    child.once('exit', over);
  });
  alive.set(child, ended);
}

/** Ends all of them, in order, or by force after ten seconds; resolves when they have ended. */
export async function stopAll(): Promise<void> {
  const signal = (name: NodeJS.Signals) => {
    for (const child of alive.keys()) child.kill(name);
  };
  const impatient = setTimeout(signal, 10_000, 'SIGKILL');
  signal('SIGTERM');
  await Promise.all(alive.values());
  clearTimeout(impatient);
}

export interface Finished {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they came. */
  readonly output: string;
}

export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly input?: string | Buffer;
  readonly cwd?: string;
}

/** Runs to the end; any exit code is a result. */
export async function run(file: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const child = spawn(file, args, { env: options.env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  keep(child);
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(options.input ?? '');
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  const said = { stdout: '', stderr: '', output: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      said[name] += chunk;
      said.output += chunk;
    });
  return { code: await ended, ...said };
}

export const hoop = (args: readonly string[], options: RunOptions): Promise<Finished> =>
  run(process.execPath, [hoopBinary, ...args], options);

/** A program that goes on running: what it says can be waited for. */
export class Running {
  readonly child: ChildProcess;
  /** Exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>;
  #stdout = '';
  #stderr = '';
  #output = '';
  readonly #waiting = new Set<() => void>();
  #over = false;

  /** @param input `pipe`: `child.stdin` takes it */
  constructor(
    file: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    input: 'ignore' | 'pipe' = 'ignore',
  ) {
    this.child = spawn(file, args, { env, stdio: [input, 'pipe', 'pipe'] });
    keep(this.child);
    this.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stdout += chunk;
      this.#output += chunk;
      this.#wake();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stderr += chunk;
      this.#output += chunk;
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      const over = (code: number | null) => {
        this.#over = true;
        resolve(code);
        this.#wake();
      };
      this.child.once('error', (error) => {
        this.#stderr += error.message;
        over(null);
      });
      this.child.once('close', over);
    });
  }

  static hoop(args: readonly string[], env: NodeJS.ProcessEnv): Running {
    return new Running(process.execPath, [hoopBinary, ...args], env);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Everything said so far, in the order in which it came. */
  get output(): string {
    return this.#output;
  }

  /**
   * Resolves when stdout or stderr matches.
   * @throws ProgramError `program-ended` when it ends without having said it
   */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
      if (match !== null) return match;
      if (this.#over)
        throw new ProgramError(
          'program-ended',
          `ended without saying ${pattern.source}: ${this.output.slice(-2000)}`,
        );
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Asks it to end, with the signal; resolves when it has. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.#over) this.child.kill(signal);
    return this.ended;
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
