/**
 * What every command shares: flags in; text or JSON out; failures and exit codes. No rule of the product lives here
 * or in `commands/`.
 *
 * Output contract: stdout carries the result and nothing else. With `--json` that is exactly one JSON document (or
 * JSON lines, where a command says so): the result, or `{"error": …}` when it failed. Everything said to a person on
 * the way (prompts, progress, warnings, failures in text mode) goes to stderr.
 */
import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { visible } from './colour.ts';
import { errorDocument, errorText } from './error-view.ts';
import { exitCodeOf, isQuietExit } from './exit-codes.ts';
import { formatTable } from './table.ts';

export abstract class HoopCommand extends Command {
  static override baseFlags = {
    json: Flags.boolean({
      description: 'print one JSON document on stdout',
      helpGroup: 'GLOBAL',
    }),
  };

  /** The result; with `--json` it is what stdout gets. Text goes through `print` while the command runs. */
  abstract override run(): Promise<unknown>;

  /** Decided from the raw arguments, so that a failure to parse them is told in the right form too. */
  override jsonEnabled(): boolean {
    const end = this.argv.indexOf('--');
    return this.argv.slice(0, end === -1 ? undefined : end).includes('--json');
  }

  /** A line of the result, for people; nothing with `--json`. */
  print(line: string): void {
    if (!this.jsonEnabled()) process.stdout.write(`${line}\n`);
  }

  /** Rows of the result, for people; nothing with `--json`. */
  printTable(heads: readonly string[], rows: readonly (readonly (string | null)[])[]): void {
    if (this.jsonEnabled()) return;
    const width = process.stdout.isTTY ? process.stdout.columns : null;
    process.stdout.write(formatTable(heads, rows, { width }));
  }

  /** Facts of one thing, a line each; nothing with `--json`. */
  printFacts(facts: readonly (readonly [name: string, value: string])[]): void {
    const width = Math.max(...facts.map(([name]) => name.length));
    for (const [name, value] of facts) this.print(`  ${name.padEnd(width)}  ${visible(value)}`);
  }

  /** A line that is not the result: progress, prompt, warning. Control characters are made visible. */
  note(line: string): void {
    process.stderr.write(`${visible(line)}\n`);
  }

  /** One document on stdout, whole lines, no colour. */
  override logJson(document: unknown): void {
    process.stdout.write(`${JSON.stringify(document, null, process.stdout.isTTY ? 2 : 0)}\n`);
  }

  override async catch(error: Error): Promise<void> {
    process.exitCode = exitCodeOf(error);
    if (isQuietExit(error)) return;
    if (this.jsonEnabled()) this.logJson(errorDocument(error));
    else process.stderr.write(errorText(error));
  }
}
