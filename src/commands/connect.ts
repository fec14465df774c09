import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { askOrStart } from '../agent/background-start.ts';
import { directories } from '../agent/directories.ts';
import { connectAround, connectForeground } from '../cli/connect.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { bannerOf, documentOf } from '../cli/served.ts';
import { parseDuration } from '../cli/time.ts';

export default class Connect extends RelayCommand {
  static override description = 'open a session and a local port for any client of the target';
  static override usage = 'connect TARGET [FLAGS] [-- CLIENT ARGS...]';
  static override examples = [
    '<%= config.bin %> connect db-prod',
    "<%= config.bin %> connect db-prod -- psql -c 'select count(*) from customers'",
    '<%= config.bin %> connect db-prod --detach --duration 30m --reason "ticket 4711"',
  ];
  static override args = {
    target: Args.string({ description: 'name of the target (hoop targets)', required: true }),
  };
  static override flags = {
    reason: Flags.string({ description: 'why, for policy and the record', helpValue: 'TEXT' }),
    task: Flags.string({
      description: 'workflow that the commands belong to',
      env: 'HOOP_TASK',
      helpValue: 'NAME',
    }),
    duration: Flags.string({
      description: 'how long, such as 30m or 8h; the relay may grant less',
      helpValue: 'TIME',
    }),
    port: Flags.integer({ description: 'local port; the same as last time otherwise', min: 1, max: 65_535 }),
    socket: Flags.boolean({ description: 'a Unix socket in place of a TCP port', default: false }),
    detach: Flags.boolean({ description: 'keep the port open in the background', default: false }),
  };

  async run(): Promise<unknown> {
    const dashes = this.argv.indexOf('--');
    const client = dashes === -1 ? null : this.argv.slice(dashes + 1);
    const { args, flags } = await this.parse(Connect, dashes === -1 ? this.argv : this.argv.slice(0, dashes));
    if (client?.length === 0) this.error('after -- comes a client, such as psql', { exit: 2 });
    if (client !== null && flags.detach) this.error('--detach runs no client', { exit: 2 });
    const wish = {
      target: args.target,
      reason: flags.reason ?? null,
      task: flags.task ?? null,
      durationSeconds: flags.duration === undefined ? null : parseDuration(flags.duration),
    };
    const port = { port: flags.port ?? null, socket: flags.socket };
    return this.withAccount(flags, async (account) => {
      if (!flags.detach) {
        process.exitCode =
          client === null
            ? await connectForeground(this, account, wish, port)
            : await connectAround(account, wish, port, client);
        return undefined;
      }
      const { relay, caFile } = account;
      const request = { v: 1 as const, op: 'connect' as const, relay, caFile, ...port, ...wish };
      const [view] = await askOrStart(directories().runtime, request, this.agentCommand());
      if (view === undefined) return undefined;
      for (const line of bannerOf(view)) this.print(line);
      return documentOf(view);
    });
  }
}
