/**
 * Base of the commands that an operator runs where the relay runs: they read its configuration and open its state, with
 * the rights of the user who runs them. No sign-in takes part.
 */
import { userInfo } from 'node:os';
import * as Flags from '@oclif/core/flags';
import type { OperatorAct } from '../evidence/operator-act.ts';
import { CLIError } from '@oclif/core/errors';
import type { ServiceAccount } from '../identity/service-account.ts';
import { loadConfig } from '../relay/config/config.ts';
import type { RelayConfig } from '../relay/config/config.ts';
import { upstreamName } from '../relay/config/upstream.ts';
import { Accounts } from '../relay/idp/accounts.ts';
import { providerIssuer } from '../relay/idp/provider.ts';
import { ServiceAccountAdmin } from '../relay/machines/service-accounts.ts';
import { problemLines } from '../relay/problem-lines.ts';
import { State } from '../relay/state/state.ts';
import { systemClock } from '../system/clock.ts';
import type { User } from '../relay/state/users.ts';
import { HoopCommand } from './command.ts';
import { OperatorError } from './operator-error.ts';

export interface OperatorFlags {
  readonly config: string | undefined;
}

export const reasonFlag = {
  reason: Flags.string({
    description: 'why, for the record',
    helpValue: 'TEXT',
    parse: async (text) => {
      if (text.length <= 1024 && !/\p{Cc}/u.test(text)) return text;
      throw new CLIError('a reason has at most 1024 characters, none of them control characters');
    },
  }),
};

/** Who acts at this machine, for the record. */
export function operatorAct(reason: string | null): OperatorAct {
  const { username } = userInfo();
  const by = process.env['SUDO_USER'] ?? '';
  const account = by === '' || by === username ? username : `${by} as ${username}`;
  return { account: account.slice(0, 128), reason };
}

/** People of the embedded provider, changed by whoever acts here. */
export const accountsOf = (state: State, { publicUrl }: RelayConfig): Accounts =>
  new Accounts(state, providerIssuer(publicUrl), systemClock, operatorAct(null));

export abstract class OperatorCommand extends HoopCommand {
  static override baseFlags = {
    ...HoopCommand.baseFlags,
    config: Flags.string({
      description: 'relay.yaml; the embedded default of this user otherwise',
      env: 'HOOP_RELAY_CONFIG',
      helpGroup: 'GLOBAL',
      helpValue: 'FILE',
    }),
  };

  /** Says every problem of a configuration or of policies on its own line; the failure itself names the first only. */
  override async catch(error: Error): Promise<void> {
    const problems = problemLines(error);
    if (problems.length > 1) for (const line of problems) this.note(line);
    return super.catch(error);
  }

  /** @throws ConfigError, PrivateFileError */
  protected relayConfig(flags: OperatorFlags): Promise<RelayConfig> {
    return loadConfig(flags.config ?? null);
  }

  /** Opens the state, works on it, and closes it. @throws ConfigError, StateError */
  protected async withState<T>(
    flags: OperatorFlags,
    work: (state: State, config: RelayConfig) => Promise<T>,
  ): Promise<T> {
    const config = await this.relayConfig(flags);
    // Whoever forgot --config sees that it is another relay's.
    this.note(`  data directory: ${config.dataDir}`);
    const state = await State.open(
      config.state.kind === 'sqlite' ? config.state.file : config.state.url.resolve(),
    );
    try {
      return await work(state, config);
    } finally {
      await state.close();
    }
  }

  /**
   * Works on the people of the embedded provider.
   * @throws OperatorError `provider-not-embedded`
   */
  protected async withAccounts<T>(
    flags: OperatorFlags,
    work: (accounts: Accounts, state: State) => Promise<T>,
  ): Promise<T> {
    const elsewhere = signInElsewhere((await this.relayConfig(flags)).identity);
    if (elsewhere !== null)
      throw new OperatorError('provider-not-embedded', `people sign in at ${elsewhere}`, {
        hint: 'manage them there; groups come with their tokens',
      });
    return this.withState(flags, (state, config) => work(accountsOf(state, config), state));
  }

  /** Opens the state and works on the relay's own service accounts, wherever people sign in. */
  protected async withServiceAccounts<T>(
    flags: OperatorFlags,
    work: (accounts: ServiceAccountAdmin) => Promise<T>,
  ): Promise<T> {
    return this.withState(flags, (state, { publicUrl }) =>
      work(new ServiceAccountAdmin(state, publicUrl, operatorAct(null))),
    );
  }

  /** The same for one account. @throws OperatorError `service-account-unknown` */
  protected withServiceAccount<T>(
    flags: OperatorFlags,
    name: string,
    work: (accounts: ServiceAccountAdmin, account: ServiceAccount) => Promise<T>,
  ): Promise<T> {
    return this.withServiceAccounts(flags, async (accounts) => {
      const account = await accounts.byName(name);
      if (account === null)
        throw new OperatorError('service-account-unknown', `there is no service account ${name}`, {
          hint: 'see: hoop admin service-accounts list',
        });
      return work(accounts, account);
    });
  }

  /** The same for one person. @throws OperatorError `user-unknown`, `provider-not-embedded` */
  protected withUser<T>(
    flags: OperatorFlags,
    email: string,
    work: (accounts: Accounts, user: User, state: State) => Promise<T>,
  ): Promise<T> {
    return this.withAccounts(flags, async (accounts, state) => {
      const user = await accounts.byEmail(email);
      if (user === null)
        throw new OperatorError('user-unknown', `nobody has the address ${email}`, {
          hint: 'see: hoop admin users list',
        });
      return work(accounts, user, state);
    });
  }

  /**
   * The person of an address; null for no address, and where people are not the embedded provider's.
   * @throws OperatorError `user-unknown`
   */
  protected async personAs(flags: OperatorFlags, email: string | null): Promise<User | null> {
    const { identity } = await this.relayConfig(flags);
    if (email === null || identity.kind !== 'embedded' || identity.upstream !== null) return null;
    return this.withUser(flags, email, async (_, user) => user);
  }
}

/** Where people sign in; null: at the embedded provider itself. */
export function signInElsewhere(identity: RelayConfig['identity']): string | null {
  if (identity.kind !== 'embedded') return identity.issuer;
  return identity.upstream === null ? null : upstreamName(identity.upstream);
}
