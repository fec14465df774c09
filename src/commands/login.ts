import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { openAccount } from '../agent/account.ts';
import { signInEndMs } from '../agent/credentials.ts';
import { directories } from '../agent/directories.ts';
import { login, signInAgain } from '../agent/login.ts';
import { chooseProfileForLogin, isNamed } from '../agent/profiles.ts';
import { devicePrompt } from '../cli/device-sign-in.ts';
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
    '<%= config.bin %> login --step-up',
  ];
  static override args = {
    url: Args.string({ description: 'address of the relay; the one of your last sign-in otherwise' }),
  };
  static override flags = {
    browser: Flags.boolean({ description: 'open the page in a browser', default: true, allowNo: true }),
    'accept-new-log-key': Flags.boolean({
      description: 'trust the key that the relay signs its log with, although it has changed',
    }),
    'step-up': Flags.boolean({
      description: 'sign in once more, freshly, where a policy asks for it; sessions and ports stay open',
    }),
    acr: Flags.string({
      description: 'class of authentication to ask the provider for',
      dependsOn: ['step-up'],
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Login);
    const named = { ...this.accountOptions(flags, args.url), machine: null };
    const account = await openAccount({ ...named, choose: chooseProfileForLogin });
    const { relay, profile } = account;
    const asked = { prompt: devicePrompt(this, flags.browser), signal: interruption() };
    const stepUp = { maxAgeSeconds: 0, acr: flags.acr ?? null };
    const acceptNewLogKey = flags['accept-new-log-key'];
    const credential = await (
      flags['step-up']
        ? signInAgain(account, { stepUp, ...asked })
        : login({ ...account, directory: directories().config, acceptNewLogKey, ...asked })
    ).finally(() => account.close());
    const { principal } = credential;
    const endMs = signInEndMs(credential);
    const until = endMs === null ? '' : `, until ${timeOfDay(new Date(endMs))}`;
    const groups = principal.groups.length === 0 ? 'no groups' : principal.groups.join(', ');
    const as = isNamed(profile) ? `, profile ${profile.name}` : '';
    this.print(`  Signed in as ${nameOf(principal)} (${groups})${as}${until}`);
    return { profile: profile.name, relay, login: credential.login, principal, until: instant(endMs) };
  }
}
