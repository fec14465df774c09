/** The CLI's start, called by bin/run.js: finds the command, runs it, and tells what happened outside of any. */
import { fileURLToPath } from 'node:url';
import { flush } from '@oclif/core/flush';
import { run } from '@oclif/core/run';
import { HoopError } from '../errors.ts';
import { nearest } from '../relay/config/nearest.ts';
import { errorDocument, errorText } from './error-view.ts';
import { exitCodeOf, exitCodes, isQuietExit, oclifExit } from './exit-codes.ts';
import { isOutputUnread, tellOutputUnread } from './signals.ts';

export class CommandError extends HoopError<'command-unknown'> {}
export class OutputError extends HoopError<'output-failed'> {}

/** `hoop help audit show` is `hoop audit show --help`. */
const withHelpAsFlag = (argv: readonly string[]): string[] =>
  argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];

/** What plugin-not-found ends with; shells say it of programs. */
const notFoundExit = 127;

/** @param entry URL of bin/run.js: oclif finds package.json and the manifest from there */
export async function main(argv: readonly string[], entry: string): Promise<void> {
  tellOfLostOutput();
  try {
    await run(withHelpAsFlag(argv), entry);
    // Without a reader it would wait for ever.
    if (!isOutputUnread()) await flush();
  } catch (failure) {
    if (isQuietExit(failure)) {
      process.exitCode = exitCodeOf(failure);
      return;
    }
    const error = oclifExit(failure) === notFoundExit ? await unknownCommand(argv, entry) : failure;
    process.exitCode = exitCodeOf(error);
    const end = argv.indexOf('--');
    const json = argv.slice(0, end === -1 ? undefined : end).includes('--json');
    if (json) process.stdout.write(`${JSON.stringify(errorDocument(error))}\n`);
    else process.stderr.write(errorText(error));
  }
}

/** Whoever read our output has left (`| head`), or it cannot be written: a listener, because without one it is a crash. */
function tellOfLostOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // There is nobody to tell, and nothing went wrong.
    if (error.code === 'EPIPE') {
      if (!tellOutputUnread()) process.exit(exitCodes.done);
      return;
    }
    // A full disk behind `>`. Said here, because oclif's own listener would throw it, stack and all.
    process.stderr.write(
      errorText(new OutputError('output-failed', 'the result cannot be written', { cause: error })),
    );
    process.exit(exitCodes.bug);
  });
  // What is said on the way is lost; the result may still have a reader.
  process.stderr.on('error', () => void tellOutputUnread());
}

/** With the command that was most likely meant. */
async function unknownCommand(argv: readonly string[], entry: string): Promise<CommandError> {
  const { Config } = await import('@oclif/core/config');
  const { bin, commands } = await Config.load(fileURLToPath(entry));
  const known = commands.filter((command) => !command.hidden).map(({ id }) => id.replaceAll(':', ' '));
  const flag = argv.findIndex((word) => word.startsWith('-'));
  const words = argv.slice(0, flag === -1 ? undefined : flag);
  const guesses = [3, 2, 1].map((count) => nearest(words.slice(0, count).join(' '), known));
  const guess = guesses.find((candidate) => candidate !== null);
  return new CommandError('command-unknown', `there is no command "${words.join(' ')}"`, {
    hint: guess === undefined ? `see all: ${bin} help` : `did you mean: ${bin} ${guess}`,
  });
}
