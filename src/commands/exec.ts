import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { sqlFormats, variablesOf } from '../cli/exec/asked.ts';
import { execute } from '../cli/exec/exec.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { sessionFlags, wishOf } from '../cli/session-flags.ts';
import { parseDuration } from '../cli/time.ts';

export default class Exec extends RelayCommand {
  static override description =
    'run one command at a target: a program at a server (without one, its shell), SQL at a database';
  static override usage = 'exec TARGET [FLAGS] [-- COMMAND ARGS...]';
  static override examples = [
    '<%= config.bin %> exec server -- systemctl status nginx',
    "<%= config.bin %> exec server --shell -- 'tail -n 100 /var/log/syslog | grep error'",
    '<%= config.bin %> exec server -t -- top',
    "<%= config.bin %> exec db-prod --format csv -- 'select * from customers' > customers.csv",
    '<%= config.bin %> exec db-prod < report.sql',
  ];
  static override args = {
    target: Args.string({
      description: 'name of the target (hoop targets)',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...sessionFlags,
    tty: Flags.boolean({ char: 't', description: 'a terminal for the program (servers)', allowNo: true }),
    shell: Flags.boolean({
      description: 'what follows -- is a command line for the server’s shell, sent as it is',
      default: false,
    }),
    env: Flags.string({
      char: 'e',
      description: 'variable for the program, as far as the server takes it; repeat for several',
      helpValue: 'NAME=VALUE',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    timeout: Flags.string({ description: 'end it after this time, with exit code 124', helpValue: 'TIME' }),
    stdin: Flags.boolean({ description: 'stdin goes to the program', default: true, allowNo: true }),
    file: Flags.string({ char: 'f', description: 'SQL of this file (databases)', helpValue: 'FILE' }),
    format: Flags.option({ options: sqlFormats })({
      description: 'of rows (databases); table on a terminal, else csv',
    }),
  };

  async run(): Promise<unknown> {
    const dashes = this.argv.indexOf('--');
    const words = dashes === -1 ? null : this.argv.slice(dashes + 1);
    const { args, flags } = await this.parse(Exec, dashes === -1 ? this.argv : this.argv.slice(0, dashes));
    if (words?.length === 0) this.error('after -- comes a command', { exit: 2 });
    if (words !== null && flags.file !== undefined) this.error('a command, or --file: not both', { exit: 2 });
    const environment = variablesOf(flags.env);
    if (environment === null) this.error('--env takes NAME=VALUE', { exit: 2 });
    const asked = {
      wish: wishOf(args.target, flags),
      words,
      environment,
      shell: flags.shell,
      tty: flags.tty ?? null,
      stdin: flags.stdin,
      timeoutMs: flags.timeout === undefined ? null : parseDuration(flags.timeout) * 1000,
      file: flags.file ?? null,
      format: flags.format ?? null,
      json: this.jsonEnabled(),
    };
    return this.withAccount(flags, (account) => execute(this, account, asked));
  }
}
