import * as Flags from '@oclif/core/flags';
import { HoopCommand } from '../cli/command.ts';
import { exitCodes } from '../cli/exit-codes.ts';

export default class Demo extends HoopCommand {
  static override summary = 'tour: a relay, a database and two people on this machine';
  static override description = `Starts a relay in a temporary directory in front of a private PostgreSQL (the one installed; PGlite where there is none), signs two people in, runs a query, exports the record, verifies it offline, and shows that one changed byte is found. In a terminal it then stays up to be tried; everything is removed at the end.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --once',
  ];
  static override flags = {
    once: Flags.boolean({ description: 'end after the last step (always, when there is no terminal)' }),
    database: Flags.option({
      description: 'the PostgreSQL that is installed, or PGlite',
      options: ['installed', 'pglite'] as const,
      default: 'installed',
    })(),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Demo);
    const { demo } = await import('../cli/demo/index.ts');
    const once = flags.once || this.jsonEnabled() || !process.stdin.isTTY || !process.stdout.isTTY;
    const stream = this.jsonEnabled() ? process.stderr : process.stdout;
    const held = await demo({ once, database: flags.database, write: (text) => void stream.write(text) });
    if (!held) process.exitCode = exitCodes.bug;
    return { held };
  }
}
