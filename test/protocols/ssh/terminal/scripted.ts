/** `TerminalLines` with a target that says what the test says, and time that the test moves. */
import { TerminalLines } from '../../../../src/protocols/ssh/terminal/lines.ts';
import type { CommandLine } from '../../../../src/protocols/ssh/terminal/line-owner.ts';

export class ScriptedTerminal {
  readonly lines: CommandLine[] = [];
  readonly finished: [number, number | null][] = [];
  readonly differing: [number | null, string, string][] = [];
  readonly withdrawn: number[] = [];
  forwarded = '';
  drained = 0;
  verdict: 'allow' | 'deny' | 'wait' = 'allow';
  readonly terminal: TerminalLines;
  #now = 0;
  #timers: { at: number; call: () => void }[] = [];

  constructor(columns = 80, rows = 24) {
    this.terminal = new TerminalLines(
      { columns, rows },
      {
        now: () => this.#now,
        after: (ms, call) => {
          const timer = { at: this.#now + ms, call };
          this.#timers.push(timer);
          return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
        },
      },
      {
        forward: (bytes) => void (this.forwarded += bytes.toString()),
        line: (line) => {
          this.lines.push(line);
          return this.verdict;
        },
        withdrawn: (line) => void this.withdrawn.push(line),
        finished: (line, exitCode) => void this.finished.push([line, exitCode]),
        differs: (line, text, how) => void this.differing.push([line, text, how]),
        drained: () => void this.drained++,
      },
    );
  }

  get timers(): number {
    return this.#timers.length;
  }

  get last(): CommandLine | undefined {
    return this.lines.at(-1);
  }

  shows(text: string): void {
    this.terminal.output(Buffer.from(text));
  }

  types(text: string): void {
    this.terminal.input(Buffer.from(text));
  }

  /** Each character is typed and echoed. */
  echoes(text: string): void {
    for (const character of text) {
      this.types(character);
      this.shows(character);
    }
  }

  passes(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { call } of due) call();
  }
}
