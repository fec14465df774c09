/** A real interactive shell under a real terminal (Python's `pty`), with `TerminalLines` between it and the test. */
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TerminalLines } from '../../../../src/protocols/ssh/terminal/lines.ts';
import type { CommandLine } from '../../../../src/protocols/ssh/terminal/line-owner.ts';
import { findProgram } from '../../../support/programs.ts';

/** Opens a terminal of the given size, runs the program on it and copies bytes both ways; `R columns rows` on fd 3 resizes. */
const bridge = `
import os, pty, sys, fcntl, termios, struct, select, signal
columns, rows = int(sys.argv[1]), int(sys.argv[2])
pid, fd = pty.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(sys.argv[3], sys.argv[3:])
def size(columns, rows): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
size(columns, rows)
inputs = [0, 3, fd]
while True:
    for ready in select.select(inputs, [], [])[0]:
        try: data = os.read(ready, 65536)
        except OSError: data = b''
        if ready == 3:
            if not data: inputs.remove(3); continue
            for line in data.decode().splitlines(): size(*map(int, line.split()))
        elif ready == 0:
            if not data: os.kill(pid, signal.SIGHUP); sys.exit(0)
            while data: data = data[os.write(fd, data):]
        else:
            if not data: sys.exit(0)
            os.write(1, data)
`;

export interface ShellOptions {
  /** Written to the home directory first. */
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

type Verdict = 'allow' | 'deny' | 'wait';

export class ShellUnderTest {
  readonly lines: CommandLine[] = [];
  readonly finished: [number, number | null][] = [];
  readonly differing: [number | null, string, string][] = [];
  readonly withdrawn: number[] = [];
  readonly terminal: TerminalLines;
  readonly home: string;
  decide: (line: CommandLine) => Verdict = () => 'allow';
  /** Everything that the terminal got. */
  output = '';
  #from = 0;
  readonly #waiting = new Set<() => void>();
  readonly #process;

  constructor(
    command: readonly string[],
    { files = {}, environment = {}, columns = 80, rows = 24 }: ShellOptions = {},
  ) {
    this.home = mkdtempSync(path.join(tmpdir(), 'hoop-shell-'));
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(this.home, file), text);
    this.#process = spawn(
      findProgram('python3')!,
      ['-c', bridge, String(columns), String(rows), ...command],
      {
        cwd: this.home,
        env: {
          PATH: process.env['PATH'],
          HOME: this.home,
          TERM: 'xterm-256color',
          LANG: 'C.UTF-8',
          ...environment,
        },
        stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
      },
    );
    const { stdin, stdout } = this.#process;
    this.terminal = new TerminalLines(
      { columns, rows },
      {
        now: () => performance.now(),
        after: (ms, call) => {
          const timer = setTimeout(call, ms);
          return () => clearTimeout(timer);
        },
      },
      {
        forward: (bytes) => void stdin!.write(bytes),
        line: (line) => {
          this.lines.push(line);
          return this.decide(line);
        },
        withdrawn: (line) => void this.withdrawn.push(line),
        finished: (line, exitCode) => void this.finished.push([line, exitCode]),
        differs: (line, text, how) => void this.differing.push([line, text, how]),
        drained: () => undefined,
      },
    );
    stdout!.on('data', (chunk: Buffer) => this.#deliver(chunk));
    stdin!.on('error', () => undefined);
  }

  get texts(): string[] {
    return this.lines.map(({ text }) => text);
  }

  type(text: string): void {
    this.#from = this.output.length;
    this.terminal.input(Buffer.from(text));
    this.#tell();
  }

  /** hoop's own words on the terminal. */
  notice(bytes: Uint8Array): void {
    this.#deliver(Buffer.from(bytes));
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
    const control = this.#process.stdio[3] as NodeJS.WritableStream;
    control.write(`${columns} ${rows}\n`);
  }

  /** Resolves when `what` has come since the last `type`. */
  shows(what: string | RegExp): Promise<void> {
    return this.until(() => {
      const since = this.output.slice(this.#from);
      return typeof what === 'string' ? since.includes(what) : what.test(since);
    }, String(what));
  }

  /** Types, waits for what it brings. */
  async run(text: string, what: string | RegExp): Promise<void> {
    this.type(text);
    await this.shows(what);
  }

  until(holds: () => boolean, what = String(holds)): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = setTimeout(() => {
        this.#waiting.delete(check);
        reject(
          new Error(
            `not seen: ${what}\n${JSON.stringify(this.output.slice(-1500))}\n${JSON.stringify(this.lines.slice(-5))}`,
          ),
        );
      }, 15_000);
      const check = (): void => {
        if (!holds()) return;
        clearTimeout(giveUp);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  [Symbol.dispose](): void {
    this.terminal.close();
    this.#process.kill('SIGKILL');
  }

  #deliver(chunk: Buffer): void {
    this.output += chunk.toString('latin1');
    this.terminal.output(chunk);
    this.#tell();
    // Marks are parsed a moment after they came.
    setTimeout(() => this.#tell(), 60).unref();
  }

  #tell(): void {
    for (const check of this.#waiting) check();
  }
}
