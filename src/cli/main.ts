/** The CLI's start, called by bin/run.js: finds the command, runs it, and tells what happened outside of any. */
import { flush } from '@oclif/core/flush';
import { run } from '@oclif/core/run';
import { errorDocument, errorText } from './error-view.ts';
import { exitCodeOf, exitCodes, oclifExit } from './exit-codes.ts';

/** @param entry URL of bin/run.js: oclif finds package.json and the manifest from there */
export async function main(argv: readonly string[], entry: string): Promise<void> {
  // Whoever read our output has left (`| head`): there is nobody to tell, and nothing went wrong.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
  });
  try {
    await run([...argv], entry);
    await flush();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (oclifExit(error) !== null && error instanceof Error && 'code' in error && error.code === 'EEXIT')
      return;
    const end = argv.indexOf('--');
    const json = argv.slice(0, end === -1 ? undefined : end).includes('--json');
    if (json) process.stdout.write(`${JSON.stringify(errorDocument(error))}\n`);
    else process.stderr.write(errorText(error));
  }
}
