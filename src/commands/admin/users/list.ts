import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminUsersList extends OperatorCommand {
  static override description = 'list the people of the embedded provider';
  static override examples = [
    '<%= config.bin %> admin users list',
    '<%= config.bin %> admin users list --json',
  ];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AdminUsersList);
    return this.withAccounts(flags, async (accounts) => {
      const users = await accounts.list();
      if (users.length === 0)
        this.note('nobody yet; add somebody with: hoop admin users add EMAIL --group NAME');
      else
        this.printTable(
          ['email', 'groups', 'state', 'id'],
          users.map((user) => [
            user.email,
            user.groups.join(', '),
            user.disabled ? 'disabled' : 'enabled',
            user.id,
          ]),
        );
      return {
        users: users.map(({ id, email, groups, disabled, createdAtMs }) => ({
          id,
          email,
          groups,
          disabled,
          createdAt: new Date(createdAtMs).toISOString(),
        })),
      };
    });
  }
}
