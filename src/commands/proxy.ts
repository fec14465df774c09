import * as Args from '@oclif/core/args';
import { targetOfHost } from '../agent/known-hosts.ts';
import { proxy } from '../cli/exec/proxy.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { sessionFlags, wishOf } from '../cli/session-flags.ts';

export default class Proxy extends RelayCommand {
  static override description = 'the connection of ssh to a server, on stdin and stdout (ProxyCommand)';
  static override examples = [
    "ssh -o ProxyCommand='<%= config.bin %> proxy %n' server.hoop",
    '<%= config.bin %> ssh-config --write',
  ];
  static override args = {
    target: Args.string({
      description: 'name of the target, or NAME.hoop',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = { ...sessionFlags };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Proxy);
    const wish = wishOf(targetOfHost(args.target), flags);
    return this.withAccount(flags, async (account) => {
      process.exitCode = await proxy(account, wish, (line) => this.note(line));
      return undefined;
    });
  }

  /** Stdout is ssh's. */
  override jsonEnabled(): boolean {
    return false;
  }
}
