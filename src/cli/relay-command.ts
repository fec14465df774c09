/** Base of the commands that call a relay: `--profile`, `--relay`, `--ca-file`, and the account that they stand for. */
import path from 'node:path';
import * as Flags from '@oclif/core/flags';
import { openAccount } from '../agent/account.ts';
import type { Account, AccountOptions } from '../agent/account.ts';
import type { AgentCommand } from '../agent/background-start.ts';
import { HoopCommand } from './command.ts';
import { withStepUp } from './device-sign-in.ts';

export interface RelayFlags {
  readonly profile: string | undefined;
  readonly relay: string | undefined;
  readonly 'ca-file': string | undefined;
}

export abstract class RelayCommand extends HoopCommand {
  static override baseFlags = {
    ...HoopCommand.baseFlags,
    profile: Flags.string({
      description: 'account to use (hoop profiles); the one of your last sign-in otherwise',
      env: 'HOOP_PROFILE',
      helpGroup: 'GLOBAL',
      helpValue: 'NAME',
    }),
    relay: Flags.string({
      description: 'address of the relay, in place of a profile',
      env: 'HOOP_RELAY',
      helpGroup: 'GLOBAL',
      helpValue: 'URL',
    }),
    'ca-file': Flags.string({
      description: 'PEM file of authorities to trust beside the system’s',
      env: 'HOOP_CA_FILE',
      helpGroup: 'GLOBAL',
      helpValue: 'FILE',
    }),
  };

  /** How this very program is run as the background agent. */
  protected agentCommand(): AgentCommand {
    return [process.execPath, path.join(this.config.root, 'bin', 'run.js')];
  }

  /** @param address of a relay, typed as an argument: it beats a variable, as the flag would */
  protected accountOptions(flags: RelayFlags, address?: string): AccountOptions {
    if (address !== undefined && this.#isTyped('relay'))
      this.error('the address of the relay, or --relay: not both', { exit: 2 });
    // An empty variable names nothing.
    const profile = flags.profile || null;
    const relay = address ?? (flags.relay || null);
    // A flag beats a variable: of the two only what was typed counts, unless neither or both were.
    const [typedProfile, typedRelay] = [this.#isTyped('profile'), this.#isTyped('relay')];
    return {
      profile: typedRelay && !typedProfile ? null : profile,
      relay: typedProfile && !typedRelay ? (address ?? null) : relay,
      preferred: profile,
      caFile: flags['ca-file'] ?? null,
      warn: (message) => this.note(`hoop: ${message}`),
    };
  }

  /** On the command line, not by a variable. */
  #isTyped(flag: string): boolean {
    const end = this.argv.indexOf('--');
    const words = this.argv.slice(0, end === -1 ? undefined : end);
    return words.some((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
  }

  /** Opens the account, does the work and closes what it opened. */
  protected async withAccount<T>(
    flags: RelayFlags,
    work: (account: Account) => Promise<T>,
    options: Pick<AccountOptions, 'machine'> = {},
  ): Promise<T> {
    const account = await openAccount({ ...this.accountOptions(flags), ...options });
    try {
      return await withStepUp(this, account, work);
    } finally {
      await account.close();
    }
  }
}
