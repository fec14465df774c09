import { listProfiles } from '../../agent/profile-store.ts';
import { isNamed } from '../../agent/profiles.ts';
import { HoopCommand } from '../../cli/command.ts';

export default class Profiles extends HoopCommand {
  static override description = 'list your accounts at relays, and which of them commands use';
  static override examples = [
    '<%= config.bin %> profiles',
    '<%= config.bin %> login https://relay.example.com --profile staging',
  ];

  async run(): Promise<unknown> {
    await this.parse(Profiles);
    const profiles = await listProfiles({ warn: (message) => this.note(`hoop: ${message}`) });
    if (profiles.length === 0) this.note('no profiles yet; make one with: hoop login URL');
    else
      this.printTable(
        ['profile', 'relay', 'signed in', 'current'],
        profiles.map((profile) => [
          isNamed(profile) ? profile.name : null,
          profile.relay,
          profile.signedIn ? 'yes' : 'no',
          profile.current ? 'yes' : null,
        ]),
      );
    return { profiles };
  }
}
