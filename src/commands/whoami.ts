import { signInEndMs } from '../agent/credentials.ts';
import { isNamed } from '../agent/profiles.ts';
import { actsForFact, nameOf } from '../cli/person.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { instant, timeOfDay } from '../cli/time.ts';
import { MeAnswer } from '../wire/api.ts';

const stores = { file: 'an encrypted file', system: 'the system’s credential store' };
const bindings = { 'cnf-by-issuer': 'bound by the provider', 'bound-by-relay': 'bound by the relay' };

export default class Whoami extends RelayCommand {
  static override description = 'show who you are to a relay, as it sees you now';
  static override examples = ['<%= config.bin %> whoami', '<%= config.bin %> whoami --json'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Whoami);
    return this.withAccount(flags, async ({ relay, profile, client, signIn, store, machine }) => {
      const { login, principal, key, authentication } = await client.get('/v1/me', MeAnswer);
      const credential = await signIn.credential();
      const endMs = signInEndMs(credential);
      // A program's sign-in is kept nowhere.
      const credentialStore = machine === null ? await store.whereIs(profile) : null;
      const provenAt = authentication?.time ?? null;
      this.print(`  ${nameOf(principal)} at ${relay}`);
      this.printFacts([
        ['kind', principal.kind],
        ['subject', principal.subject],
        ...actsForFact(principal),
        ['issuer', principal.issuer],
        ['groups', principal.groups.join(', ')],
        ...(isNamed(profile) ? ([['profile', profile.name]] as const) : []),
        ['login', login],
        ...(key === null ? [] : ([['key', `${key.thumbprint} (${bindings[key.binding]})`]] as const)),
        ...(provenAt === null ? [] : ([['proven', timeOfDay(new Date(provenAt))]] as const)),
        ['token until', timeOfDay(new Date(credential.accessTokenEndsAtMs))],
        ['until', endMs === null ? 'the provider ends it' : timeOfDay(new Date(endMs))],
        ['kept in', credentialStore === null ? 'memory' : stores[credentialStore]],
      ]);
      return {
        profile: profile.name,
        relay,
        login,
        principal,
        key,
        authentication,
        accessTokenEnds: instant(credential.accessTokenEndsAtMs),
        until: instant(endMs),
        credentialStore,
      };
    });
  }
}
