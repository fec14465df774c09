import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { openAccount } from '../agent/account.ts';
import { signInEndMs } from '../agent/credentials.ts';
import { chooseProfileForLogin, isNamed } from '../agent/profiles.ts';
import { login } from '../agent/login.ts';
import { openBrowser } from '../cli/browser.ts';
import { RelayCommand } from '../cli/relay-command.ts';
import { nameOf } from '../cli/person.ts';
import { instant, timeOfDay } from '../cli/time.ts';
import { interruption } from '../cli/signals.ts';

export default class Login extends RelayCommand {
  static override description = 'sign in at a relay with your browser, here or on any other device';
  static override examples = [
    '<%= config.bin %> login https://relay.example.com',
    '<%= config.bin %> login --no-browser',
    '<%= config.bin %> login https://relay.example.com --profile staging',
  ];
  static override args = {
    url: Args.string({ description: 'address of the relay; the one of your last sign-in otherwise' }),
  };
  static override flags = {
    browser: Flags.boolean({ description: 'open the page in a browser', default: true, allowNo: true }),
    'accept-new-log-key': Flags.boolean({
      description: 'trust the key that the relay signs its log with, although it has changed',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Login);
    const named = this.accountOptions(flags);
    // The address is typed: it beats a variable, as the flag would.
    if (args.url !== undefined && this.isTyped('relay'))
      this.error('the address of the relay, or --relay: not both', { exit: 2 });
    const relayNamed = args.url ?? named.relay;
    const choose = chooseProfileForLogin;
    const account = await openAccount({ ...named, relay: relayNamed, choose });
    await account.close();
    const { relay, profile, signIn, ...kept } = account;
    const prompt = (page: { url: string; code: string; completeUrl: string | null }) => {
      this.note(`  Open ${page.url} and enter  ${page.code}`);
      if (flags.browser)
        void openBrowser(page.completeUrl ?? page.url).then((opened) => {
          if (opened) this.note('  (opened in your browser)');
        });
    };
    const acceptNewLogKey = flags['accept-new-log-key'];
    const signal = interruption();
    const exclusively = signIn.exclusively.bind(signIn);
    const credential = await login({ ...kept, profile, acceptNewLogKey, exclusively, prompt, signal });
    const { principal } = credential;
    const endMs = signInEndMs(credential);
    const until = endMs === null ? '' : `, until ${timeOfDay(new Date(endMs))}`;
    const groups = principal.groups.length === 0 ? 'no groups' : principal.groups.join(', ');
    const as = isNamed(profile) ? `, profile ${profile.name}` : '';
    this.print(`  Signed in as ${nameOf(principal)} (${groups})${as}${until}`);
    return { profile: profile.name, relay, login: credential.login, principal, until: instant(endMs) };
  }
}
