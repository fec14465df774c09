import { AuditCommand, dirFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { countsOf } from '../../cli/audit/access-report.ts';
import { taskSummaries } from '../../cli/audit/task-view.ts';
import { timeOfDay } from '../../cli/time.ts';

export default class AuditTasks extends AuditCommand {
  static override description = 'list the tasks that sessions named, each with all its sub-tasks';
  static override examples = [
    '<%= config.bin %> audit tasks --from 7d',
    '<%= config.bin %> audit tasks --task deploy-42 --json   # it and its sub-tasks',
  ];
  static override flags = { ...dirFlag, ...rangeFlags };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditTasks);
    return this.withSource(flags, async (source) => {
      const tasks = taskSummaries(await source.sessions(queryOf(flags)));
      if (tasks.length === 0) this.note('no tasks: name one with --task or HOOP_TASK');
      else
        this.printTable(
          ['task', 'sessions', 'commands', 'people', 'targets', 'began', 'ended', 'outcome'],
          tasks.map((task) => [
            task.task,
            String(task.sessions),
            String(task.commands),
            task.people.join(', '),
            task.targets.join(', '),
            timeOfDay(new Date(task.openedAt)),
            task.closedAt === null ? null : timeOfDay(new Date(task.closedAt)),
            countsOf(task.outcomes),
          ]),
        );
      return { tasks };
    });
  }
}
