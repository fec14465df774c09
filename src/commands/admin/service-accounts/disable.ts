import * as Args from '@oclif/core/args';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminServiceAccountsDisable extends OperatorCommand {
  static override description = 'keep an account from signing in; ends all its sign-ins and live sessions';
  static override examples = ['<%= config.bin %> admin service-accounts disable nightly'];
  static override args = {
    name: Args.string({ description: 'name of the account', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminServiceAccountsDisable);
    return this.withServiceAccount(flags, args.name, async (accounts, account) => {
      await accounts.setDisabled(account, true);
      this.print(`  Disabled ${account.name}`);
      return { id: account.id, name: account.name, disabled: true };
    });
  }
}
