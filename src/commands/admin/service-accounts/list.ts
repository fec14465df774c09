import { OperatorCommand } from '../../../cli/operator-command.ts';
import { accountDocument, instantOf, kindOfCredential } from '../../../cli/service-account.ts';

export default class AdminServiceAccountsList extends OperatorCommand {
  static override description = 'list the service accounts of the relay';
  static override examples = ['<%= config.bin %> admin service-accounts list'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AdminServiceAccountsList);
    return this.withServiceAccounts(flags, async (accounts) => {
      const all = await accounts.list();
      if (all.length === 0) this.note('none yet; add one with: hoop admin service-accounts create NAME');
      else
        this.printTable(
          ['name', 'kind', 'groups', 'state', 'signs in by', 'until', 'id'],
          all.map((account) => [
            account.name,
            account.kind,
            account.groups.join(', '),
            account.disabled ? 'disabled' : 'enabled',
            kindOfCredential(account),
            instantOf(account.expiresAtMs),
            account.id,
          ]),
        );
      return { serviceAccounts: all.map(accountDocument) };
    });
  }
}
