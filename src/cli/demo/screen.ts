/** What the tour shows: numbered steps, the command as a person would type it, its true output, and what was checked. */
import chalk from 'chalk';

export class Screen {
  readonly #write: (text: string) => void;
  #steps = 0;
  readonly #failed: string[] = [];

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** What did not hold, in order. */
  get failed(): readonly string[] {
    return this.#failed;
  }

  step(title: string): void {
    this.#write(`\n${chalk.bold(`${++this.#steps}. ${title}`)}\n`);
  }

  note(text: string): void {
    this.#write(`   ${chalk.dim(text)}\n`);
  }

  command(who: string, text: string): void {
    this.#write(`   ${chalk.cyan(`${who} $`)} ${text}\n`);
  }

  output(text: string, mostLines = 20): void {
    const lines = text.trimEnd().split('\n');
    const shown =
      lines.length > mostLines
        ? [...lines.slice(0, mostLines), `… ${lines.length - mostLines} more lines`]
        : lines;
    for (const line of shown) this.#write(`     ${clip(line.trimEnd())}\n`);
  }

  /** Says and remembers whether something held. */
  check(held: boolean, claim: string): void {
    this.#write(`   ${held ? chalk.green('✓') : chalk.red('✗ does not hold:')} ${claim}\n`);
    if (!held) this.#failed.push(claim);
  }

  line(text = ''): void {
    this.#write(`${text}\n`);
  }
}

/** Long lines would hide the shape of what is shown. */
const clip = (line: string): string => (line.length > 180 ? `${line.slice(0, 179)}…` : line);
