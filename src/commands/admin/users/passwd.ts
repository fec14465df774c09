import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { OperatorCommand } from '../../../cli/operator-command.ts';
import { newPassword } from '../../../cli/password.ts';

export default class AdminUsersPasswd extends OperatorCommand {
  static override description = 'set a new password; ends all sign-ins of the person';
  static override examples = ['<%= config.bin %> admin users passwd ana@example.com'];
  static override args = {
    email: Args.string({ description: 'address of the person', required: true }),
  };
  static override flags = {
    'password-stdin': Flags.boolean({ description: 'read the password from standard input' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersPasswd);
    return this.withUser(flags, args.email, async (accounts, user) => {
      const { password, generated } = await newPassword(flags['password-stdin']);
      await accounts.setPassword(user, password);
      this.print(`  New password for ${user.email}`);
      if (generated) this.print(`  Password, shown this once: ${password}`);
      return { id: user.id, email: user.email, ...(generated ? { password } : {}) };
    });
  }
}
