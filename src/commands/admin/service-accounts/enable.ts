import * as Args from '@oclif/core/args';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminServiceAccountsEnable extends OperatorCommand {
  static override description = 'let a disabled account sign in again';
  static override examples = ['<%= config.bin %> admin service-accounts enable nightly'];
  static override args = {
    name: Args.string({ description: 'name of the account', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminServiceAccountsEnable);
    return this.withServiceAccount(flags, args.name, async (accounts, account) => {
      await accounts.setDisabled(account, false);
      this.print(`  Enabled ${account.name}`);
      return { id: account.id, name: account.name, disabled: false };
    });
  }
}
