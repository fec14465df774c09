/** A yes to something that cannot be undone: typed on a terminal, or given beforehand by `--yes`. */
import { createInterface } from 'node:readline/promises';
import { CLIError } from '@oclif/core/errors';

/** @throws CLIError where there is nobody to ask */
export async function saidYes(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new CLIError('this cannot be undone, and there is no terminal to ask at: add --yes');
  const asked = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asked.question(`  ${question} (yes/no) `);
  asked.close();
  return answer.trim() === 'yes';
}
