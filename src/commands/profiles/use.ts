import * as Args from '@oclif/core/args';
import { useProfile } from '../../agent/profile-store.ts';
import { HoopCommand } from '../../cli/command.ts';

export default class ProfilesUse extends HoopCommand {
  static override description = 'choose the account of commands that name none';
  static override examples = ['<%= config.bin %> profiles use staging'];
  static override args = {
    profile: Args.string({ description: 'name of the profile, or address of its relay', required: true }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(ProfilesUse);
    const { name, relay } = await useProfile(args.profile, { warn: (message) => this.note(message) });
    this.print(`  ${name === relay ? relay : `${name} (${relay})`} is the current profile`);
    if ((process.env['HOOP_PROFILE'] ?? process.env['HOOP_RELAY'] ?? '') !== '')
      this.note('hoop: HOOP_PROFILE or HOOP_RELAY is set here, and goes before it');
    return { profile: name, relay };
  }
}
