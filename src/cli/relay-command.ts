/** Base of the commands that call a relay: `--relay`, `--ca-file`, and the account that they stand for. */
import path from 'node:path';
import * as Flags from '@oclif/core/flags';
import { openAccount } from '../agent/account.ts';
import type { Account, AccountOptions } from '../agent/account.ts';
import type { AgentCommand } from '../agent/background-start.ts';
import { HoopCommand } from './command.ts';
import { withStepUp } from './device-sign-in.ts';

export interface RelayFlags {
  readonly relay: string | undefined;
  readonly 'ca-file': string | undefined;
}

export abstract class RelayCommand extends HoopCommand {
  static override baseFlags = {
    ...HoopCommand.baseFlags,
    relay: Flags.string({
      description: 'address of the relay; the one of your last sign-in otherwise',
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

  /** Opens the account, does the work and closes what it opened. */
  protected async withAccount<T>(
    flags: RelayFlags,
    work: (account: Account) => Promise<T>,
    options: Pick<AccountOptions, 'machine'> = {},
  ): Promise<T> {
    const account = await openAccount({
      relay: flags.relay ?? null,
      caFile: flags['ca-file'] ?? null,
      warn: (message) => this.note(`hoop: ${message}`),
      ...options,
    });
    try {
      return await withStepUp(this, account, work);
    } finally {
      await account.close();
    }
  }
}
