import { loginDocument, loginHeads, loginRow } from '../../../cli/live-access.ts';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminLoginsList extends OperatorCommand {
  static override description = 'list the live sign-ins of everybody';
  static override examples = ['<%= config.bin %> admin logins list'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AdminLoginsList);
    return this.withState(flags, async (state) => {
      const [logins, sessions] = [await state.logins.live(), await state.sessions.live()];
      if (logins.length === 0) this.note('nobody is signed in');
      else
        this.printTable(
          loginHeads,
          logins.map((login) => loginRow(login, sessions)),
        );
      return { logins: logins.map((login) => loginDocument(login, sessions)) };
    });
  }
}
