import { signInEndMs } from '../agent/credentials.ts';
import { isNamed } from '../agent/profiles.ts';
import { nameOf } from '../cli/person.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { instant, timeOfDay } from '../cli/time.ts';
import { MeAnswer } from '../wire/api.ts';

const bindings = { 'cnf-by-issuer': 'bound by the provider', 'bound-by-relay': 'bound by the relay' };

export default class Whoami extends RelayCommand {
  static override description = 'show who you are to a relay, as it sees you now';
  static override examples = ['<%= config.bin %> whoami', '<%= config.bin %> whoami --json'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Whoami);
    return this.withAccount(flags, async ({ relay, profile, client, signIn, store }) => {
      const { login, principal, key } = await client.get('/v1/me', MeAnswer);
      const credential = await signIn.credential();
      const endMs = signInEndMs(credential);
      const credentialStore = await store.whereIs(profile);
      this.print(`  ${nameOf(principal)} at ${relay}`);
      this.printFacts([
        ['kind', principal.kind],
        ['subject', principal.subject],
        ['issuer', principal.issuer],
        ['groups', principal.groups.join(', ')],
        ...(isNamed(profile) ? ([['profile', profile.name]] as const) : []),
        ['login', login],
        ...(key === null ? [] : ([['key', `${key.thumbprint} (${bindings[key.binding]})`]] as const)),
        ['token until', timeOfDay(new Date(credential.accessTokenEndsAtMs))],
        ['until', endMs === null ? 'the provider ends it' : timeOfDay(new Date(endMs))],
        ['kept in', credentialStore === 'file' ? 'an encrypted file' : 'the system’s credential store'],
      ]);
      return {
        profile: profile.name,
        relay,
        login,
        principal,
        key,
        accessTokenEnds: instant(credential.accessTokenEndsAtMs),
        until: instant(endMs),
        credentialStore,
      };
    });
  }
}
