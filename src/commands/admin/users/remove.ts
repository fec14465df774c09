import * as Args from '@oclif/core/args';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminUsersRemove extends OperatorCommand {
  static override description = 'remove a person; ends all sign-ins and live sessions';
  static override examples = ['<%= config.bin %> admin users remove ana@example.com'];
  static override args = {
    email: Args.string({ description: 'address of the person', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersRemove);
    return this.withUser(flags, args.email, async (accounts, user) => {
      await accounts.remove(user);
      this.print(`  Removed ${user.email}`);
      return { id: user.id, email: user.email, removed: true };
    });
  }
}
