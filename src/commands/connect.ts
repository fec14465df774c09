import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { askOrStart } from '../agent/background-start.ts';
import { directories } from '../agent/directories.ts';
import { connectAround, connectForeground, connectInTerminal } from '../cli/connect.ts';
import { isInteractive } from '../cli/exec/terminal.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { present } from '../cli/served.ts';
import { sessionFlags, wishOf } from '../cli/session-flags.ts';

export default class Connect extends RelayCommand {
  static override description =
    'open a session and a local port for any client of the target; in a terminal, the shell of a server';
  static override usage = 'connect TARGET [FLAGS] [-- CLIENT ARGS...]';
  static override examples = [
    '<%= config.bin %> connect db-prod',
    "<%= config.bin %> connect db-prod -- psql -c 'select count(*) from customers'",
    '<%= config.bin %> connect server',
    '<%= config.bin %> connect server -- scp report.csv server:',
    '<%= config.bin %> connect db-prod --detach --duration 30m --reason "ticket 4711"',
  ];
  static override args = {
    target: Args.string({ description: 'name of the target (hoop targets)', required: true }),
  };
  static override flags = {
    ...sessionFlags,
    port: Flags.integer({ description: 'local port; the same as last time otherwise', min: 1, max: 65_535 }),
    socket: Flags.boolean({ description: 'a Unix socket in place of a TCP port', default: false }),
    'port-only': Flags.boolean({ description: 'the port of a server, no shell', default: false }),
    detach: Flags.boolean({ description: 'keep the port open in the background', default: false }),
  };

  async run(): Promise<unknown> {
    const dashes = this.argv.indexOf('--');
    const client = dashes === -1 ? null : this.argv.slice(dashes + 1);
    const { args, flags } = await this.parse(Connect, dashes === -1 ? this.argv : this.argv.slice(0, dashes));
    if (client?.length === 0) this.error('after -- comes a client, such as psql', { exit: 2 });
    if (client !== null && flags.detach) this.error('--detach runs no client', { exit: 2 });
    const wish = wishOf(args.target, flags);
    const port = { port: flags.port ?? null, socket: flags.socket };
    const wantsPort = flags['port-only'] || flags.socket || flags.port !== undefined;
    return this.withAccount(flags, async (account) => {
      if (client !== null) process.exitCode = await connectAround(account, wish, port, client);
      else if (!flags.detach && !wantsPort && isInteractive() && !this.jsonEnabled())
        process.exitCode = await connectInTerminal(this, account, wish, port);
      else if (!flags.detach) process.exitCode = await connectForeground(this, account, wish, { port });
      if (!flags.detach) return undefined;
      const { relay, caFile, machine } = account;
      const at = { relay, profile: account.profile.name, caFile, machine };
      const request = { v: 1 as const, op: 'connect' as const, ...at, ...port, ...wish };
      const [view] = await askOrStart(directories().runtime, request, this.agentCommand());
      if (view === undefined) return undefined;
      const { banner, document } = await present(view);
      for (const line of banner) this.print(line);
      return document;
    });
  }
}
