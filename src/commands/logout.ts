import * as Flags from '@oclif/core/flags';
import { openAccount, type Account } from '../agent/account.ts';
import { directories } from '../agent/directories.ts';
import { logout, type NotDone, type SignedOut } from '../agent/logout.ts';
import { signedInProfiles } from '../agent/profile-store.ts';
import { isNamed } from '../agent/profiles.ts';
import { visible } from '../cli/colour.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { instant, timeOfDay } from '../cli/time.ts';

const whatGoesOn: Readonly<Record<NotDone['what'], string>> = {
  ports: 'the ports of the background agent were not closed',
  relay: 'the relay was not told',
  'refresh-token': 'the refresh token was not revoked',
};

export default class Logout extends RelayCommand {
  static override description =
    'end a sign-in: here, at the relay, at the identity provider, and the ports that use it';
  static override examples = ['<%= config.bin %> logout', '<%= config.bin %> logout --all'];
  static override flags = {
    all: Flags.boolean({ description: 'every profile', default: false }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Logout);
    // The person's, also where a program has a sign-in of its own.
    const person = { machine: null };
    if (!flags.all)
      return this.withAccount(flags, async (account) => documentOf(await this.#end(account)), person);
    const named = this.accountOptions(flags);
    const ended: Record<string, unknown>[] = [];
    for (const profile of await signedInProfiles(named)) {
      const account = await openAccount({ ...named, ...person, choose: () => profile });
      ended.push(documentOf(await this.#end(account).finally(() => account.close())));
    }
    if (ended.length === 0) this.print('  You were not signed in anywhere');
    return { profiles: ended };
  }

  async #end(account: Account): Promise<SignedOut> {
    const result = await logout(account, directories());
    const { relay, profile } = account;
    const where = isNamed(profile) ? `${visible(relay)} (profile ${profile.name})` : visible(relay);
    for (const { target, session } of result.disconnected)
      this.print(`  Disconnected ${target} (session ${session})`);
    this.print(result.signedOut ? `  Signed out of ${where}` : `  You were not signed in at ${where}`);
    for (const { what, why, endsAtMs } of result.notDone) {
      const until = endsAtMs === null ? '' : `; it ends by itself at ${timeOfDay(new Date(endsAtMs))}`;
      this.note(`hoop: ${whatGoesOn[what]}: ${why}${until}`);
    }
    return result;
  }
}

const documentOf = ({ notDone, ...result }: SignedOut): Record<string, unknown> => ({
  ...result,
  notDone: notDone.map(({ what, why, endsAtMs }) => ({ what, why, endsAt: instant(endsAtMs) })),
});
