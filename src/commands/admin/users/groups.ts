import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminUsersGroups extends OperatorCommand {
  static override description =
    'set the groups of a person; they hold from the next renewal of the sign-in on';
  static override examples = [
    '<%= config.bin %> admin users groups ana@example.com --group engineering --group on-call',
    '<%= config.bin %> admin users groups ana@example.com --none',
  ];
  static override args = {
    email: Args.string({ description: 'address of the person', required: true }),
  };
  static override flags = {
    group: Flags.string({
      description: 'all groups that the person is in from now on; repeat for several',
      multiple: true,
      multipleNonGreedy: true,
      exactlyOne: ['group', 'none'],
      helpValue: 'NAME',
    }),
    none: Flags.boolean({ description: 'take the person out of all groups' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AdminUsersGroups);
    return this.withUser(flags, args.email, async (accounts, user) => {
      const groups = flags.none ? [] : [...new Set(flags.group)].toSorted();
      await accounts.setGroups(user, groups);
      this.print(`  ${user.email}: ${groups.length === 0 ? 'no groups' : groups.join(', ')}`);
      return { id: user.id, email: user.email, groups };
    });
  }
}
