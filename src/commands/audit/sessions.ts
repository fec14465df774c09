import { AuditCommand, dirFlag, outcomeFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { nameOf } from '../../cli/person.ts';
import { timeOfDay } from '../../cli/time.ts';

export default class AuditSessions extends AuditCommand {
  static override description = 'list recorded sessions, oldest first';
  static override examples = [
    '<%= config.bin %> audit sessions',
    '<%= config.bin %> audit sessions --person ana@example.com --from 2h',
    '<%= config.bin %> audit sessions --outcome killed --json',
  ];
  static override flags = { ...dirFlag, ...rangeFlags, ...outcomeFlag };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditSessions);
    return this.withSource(flags, async (source) => {
      const sessions = await source.sessions(queryOf(flags));
      if (sessions.length === 0) this.note('no sessions');
      else
        this.printTable(
          ['session', 'person', 'target', 'opened', 'closed', 'outcome', 'commands', 'task'],
          sessions.map((session) => [
            session.session,
            nameOf(session.principal),
            session.target,
            timeOfDay(new Date(session.openedAt)),
            session.closedAt === null ? null : timeOfDay(new Date(session.closedAt)),
            session.outcome,
            String(session.totals.commands),
            session.task,
          ]),
        );
      return { sessions };
    });
  }
}
