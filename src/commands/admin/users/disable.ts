import * as Args from '@oclif/core/args';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminUsersDisable extends OperatorCommand {
  static override description = 'keep a person from signing in; ends all sign-ins and live sessions';
  static override examples = ['<%= config.bin %> admin users disable ana@example.com'];
  static override args = {
    email: Args.string({ description: 'address of the person', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersDisable);
    return this.withUser(flags, args.email, async (accounts, user) => {
      await accounts.setDisabled(user, true);
      this.print(`  Disabled ${user.email}`);
      return { id: user.id, email: user.email, disabled: true };
    });
  }
}
