import { signInEndMs } from '../agent/credentials.ts';
import { actsForFact, nameOf } from '../cli/person.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { instant, timeOfDay } from '../cli/time.ts';

export default class Whoami extends RelayCommand {
  static override description = 'show who you are to a relay, as it sees you now';
  static override examples = ['<%= config.bin %> whoami', '<%= config.bin %> whoami --json'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Whoami);
    return this.withAccount(flags, async ({ relay, client, signIn }) => {
      await client.send('GET', '/v1/me');
      const credential = await signIn.credential();
      const { principal, issuer, login } = credential;
      const endMs = signInEndMs(credential);
      this.print(`  ${nameOf(principal)} at ${relay}`);
      this.printFacts([
        ['kind', principal.kind],
        ['subject', principal.subject],
        ...actsForFact(principal),
        ['issuer', issuer],
        ['groups', principal.groups.join(', ')],
        ['until', endMs === null ? 'the provider ends it' : timeOfDay(new Date(endMs))],
      ]);
      return { relay, login, principal, until: instant(endMs) };
    });
  }
}
