import * as Args from '@oclif/core/args';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminServiceAccountsRemove extends OperatorCommand {
  static override description = 'remove an account; ends all its sign-ins and live sessions';
  static override examples = ['<%= config.bin %> admin service-accounts remove nightly'];
  static override args = {
    name: Args.string({ description: 'name of the account', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminServiceAccountsRemove);
    return this.withServiceAccount(flags, args.name, async (accounts, account) => {
      await accounts.remove(account);
      this.print(`  Removed ${account.name}`);
      return { id: account.id, name: account.name, removed: true };
    });
  }
}
