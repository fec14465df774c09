import type { Account } from '../agent/account.ts';
import { RelayCommand } from '../cli/relay-command.ts';

export default class Logout extends RelayCommand {
  static override description = 'end your sign-in at a relay, with its live sessions';
  static override examples = ['<%= config.bin %> logout'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Logout);
    const end = async ({ relay, client, store }: Account) => {
      const credential = await store.load(relay);
      if (credential === null) {
        this.print(`  You were not signed in at ${relay}`);
        return { relay, signedOut: false };
      }
      try {
        await client.send('POST', '/v1/logout');
      } catch (error) {
        // The secret goes in any case; the relay lets the sign-in end by itself when nobody renews it.
        this.note(`hoop: the relay was not told: ${error instanceof Error ? error.message : 'unknown'}`);
      }
      await store.remove(relay);
      this.print(`  Signed out of ${relay}`);
      return { relay, signedOut: true };
    };
    // The person's, also where a program has a sign-in of its own.
    return this.withAccount(flags, end, { machine: null });
  }
}
