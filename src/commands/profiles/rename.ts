import * as Args from '@oclif/core/args';
import { moveProfile } from '../../agent/profile-store.ts';
import { HoopCommand } from '../../cli/command.ts';

export default class ProfilesRename extends HoopCommand {
  static override description = 'give a profile another name; its sign-in and ports go with it';
  static override examples = [
    '<%= config.bin %> profiles rename staging test',
    '<%= config.bin %> profiles rename https://relay.example.com work',
  ];
  static override args = {
    profile: Args.string({ description: 'name of the profile, or address of its relay', required: true }),
    name: Args.string({ description: 'the new name', required: true }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(ProfilesRename);
    const warn = (message: string): void => this.note(`hoop: ${message}`);
    const { name, relay } = await moveProfile(args.profile, args.name, { warn });
    this.print(`  ${relay} is profile ${name} now`);
    return { profile: name, relay };
  }
}
