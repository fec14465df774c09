import { sessionDocument, sessionHeads, sessionRow } from '../../../cli/live-access.ts';
import { OperatorCommand } from '../../../cli/operator-command.ts';

export default class AdminSessionsList extends OperatorCommand {
  static override description = 'list the live sessions of everybody, without being signed in';
  static override examples = ['<%= config.bin %> admin sessions list'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AdminSessionsList);
    return this.withState(flags, async (state) => {
      const sessions = await state.sessions.live();
      if (sessions.length === 0) this.note('no live sessions');
      else this.printTable(sessionHeads, sessions.map(sessionRow));
      return { sessions: sessions.map(sessionDocument) };
    });
  }
}
