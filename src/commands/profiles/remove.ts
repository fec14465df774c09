import * as Args from '@oclif/core/args';
import { openAccount } from '../../agent/account.ts';
import { directories } from '../../agent/directories.ts';
import { logout } from '../../agent/logout.ts';
import { forgetProfile, namedProfile } from '../../agent/profiles.ts';
import { HoopCommand } from '../../cli/command.ts';

export default class ProfilesRemove extends HoopCommand {
  static override description = 'sign out of a profile and forget it; what is known of its relay’s log stays';
  static override examples = ['<%= config.bin %> profiles remove staging'];
  static override args = {
    profile: Args.string({ description: 'name of the profile, or address of its relay', required: true }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(ProfilesRemove);
    const warn = (message: string): void => this.note(`hoop: ${message}`);
    const choose = namedProfile.bind(null, args.profile);
    const account = await openAccount({
      profile: args.profile,
      relay: null,
      caFile: null,
      machine: null,
      warn,
      choose: (_, settings) => choose(settings),
    });
    try {
      const { name, relay } = account.profile;
      const { notDone } = await logout(account, directories());
      for (const { what, why } of notDone) warn(`${what} at ${relay}: not ended: ${why}`);
      await account.settings.change((content) => forgetProfile(content, name));
      this.print(`  Forgot ${name}`);
      return { profile: name, relay, removed: true };
    } finally {
      await account.close();
    }
  }
}
