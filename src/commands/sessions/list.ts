import { nameOf } from '../../cli/person.ts';
import { RelayCommand } from '../../cli/relay-command.ts';
import { timeOfDay } from '../../cli/time.ts';
import { LiveSessionList } from '../../wire/api.ts';

export default class SessionsList extends RelayCommand {
  static override description = 'list live sessions: your own, or all with the right to end them';
  static override examples = ['<%= config.bin %> sessions list'];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(SessionsList);
    return this.withAccount(flags, async ({ client }) => {
      const { sessions } = await client.get('/v1/sessions', LiveSessionList);
      if (sessions.length === 0) this.note('no live sessions');
      else
        this.printTable(
          ['session', 'target', 'person', 'opened', 'until', 'task', 'reason'],
          sessions.map((session) => [
            session.session,
            session.target,
            nameOf(session.principal),
            timeOfDay(new Date(session.openedAt)),
            timeOfDay(new Date(session.deadline)),
            session.task,
            session.reason,
          ]),
        );
      return { sessions };
    });
  }
}
