import * as Args from '@oclif/core/args';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminUsersEnable extends OperatorCommand {
  static override description = 'let a disabled person sign in again';
  static override examples = ['<%= config.bin %> admin users enable ana@example.com'];
  static override args = {
    email: Args.string({ description: 'address of the person', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersEnable);
    return this.withUser(flags, args.email, async (accounts, user) => {
      await accounts.setDisabled(user, false);
      this.print(`  Enabled ${user.email}`);
      return { id: user.id, email: user.email, disabled: false };
    });
  }
}
