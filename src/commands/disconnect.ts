import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { disconnectBackground } from '../agent/background-start.ts';
import { directories } from '../agent/directories.ts';
import { relayAddress } from '../agent/relay-address.ts';
import { HoopCommand } from '../cli/command.ts';

export default class Disconnect extends HoopCommand {
  static override description = 'end a session of the background agent and close its port';
  static override examples = ['<%= config.bin %> disconnect db-prod', '<%= config.bin %> disconnect --all'];
  static override args = { target: Args.string({ description: 'name of the target (hoop status)' }) };
  static override flags = {
    all: Flags.boolean({ description: 'end all of them', default: false }),
    relay: Flags.string({ description: 'only of this relay', helpValue: 'URL' }),
    profile: Flags.string({ description: 'only of this profile', helpValue: 'NAME' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Disconnect);
    if ((args.target === undefined) !== flags.all) this.error('name one target, or --all', { exit: 2 });
    const relay = flags.relay === undefined ? null : relayAddress(flags.relay);
    const which = { relay, profile: flags.profile ?? null, target: args.target ?? null };
    const ended = await disconnectBackground(directories().runtime, which);
    for (const { target, session } of ended) this.print(`  Disconnected ${target} (session ${session})`);
    return {
      disconnected: ended.map(({ target, relay: at, profile, session }) => ({
        target,
        relay: at,
        profile,
        session,
      })),
    };
  }
}
