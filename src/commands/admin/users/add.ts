import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { OperatorCommand } from '../../../cli/operator-command.ts';
import { OperatorError } from '../../../cli/operator-error.ts';
import { newPassword } from '../../../cli/password.ts';

export default class AdminUsersAdd extends OperatorCommand {
  static override description = 'add a person to the embedded provider';
  static override examples = [
    '<%= config.bin %> admin users add ana@example.com --group engineering',
    'pass show ana | <%= config.bin %> admin users add ana@example.com --group engineering --password-stdin',
  ];
  static override args = {
    email: Args.string({ description: 'address that the person signs in with', required: true }),
  };
  static override flags = {
    group: Flags.string({
      description: 'group for policy; repeat for several',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME',
    }),
    'password-stdin': Flags.boolean({ description: 'read the password from standard input' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersAdd);
    return this.withAccounts(flags, async (accounts) => {
      if ((await accounts.byEmail(args.email)) !== null) throw taken(args.email);
      const { password, generated } = await newPassword(flags['password-stdin']);
      const user = await accounts.add(args.email, flags.group ?? [], password);
      if (user === null) throw taken(args.email);
      this.print(
        `  Added ${user.email} (${user.groups.length === 0 ? 'no groups' : user.groups.join(', ')})`,
      );
      if (generated) this.print(`  Password, shown this once: ${password}`);
      return { id: user.id, email: user.email, groups: user.groups, ...(generated ? { password } : {}) };
    });
  }
}

const taken = (email: string): OperatorError =>
  new OperatorError('user-exists', `somebody has the address ${email} already`, {
    hint: `change the groups with: hoop admin users groups ${email} --group …`,
  });
