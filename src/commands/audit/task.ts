import * as Args from '@oclif/core/args';
import { AuditCommand, dirFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { AuditError } from '../../cli/audit/source.ts';
import { shownSteps, TaskReading, treeLines } from '../../cli/audit/task-view.ts';

export default class AuditTask extends AuditCommand {
  static override description =
    'show a task as a tree: sessions, commands with who, when and how they ended, reviews, sub-tasks';
  static override examples = [
    '<%= config.bin %> audit task deploy-42',
    '<%= config.bin %> audit task deploy-42/migrate --dir evidence --json',
  ];
  static override args = {
    task: Args.string({ description: 'name of the task; NAME/PART is a sub-task of NAME', required: true }),
  };
  static override flags = { ...dirFlag, from: rangeFlags.from, to: rangeFlags.to };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditTask);
    const { task } = args;
    return this.withSource(flags, async (source) => {
      const reading = new TaskReading(this.jsonEnabled() ? Infinity : shownSteps);
      for await (const events of source.events({ ...queryOf(flags), task }))
        for (const event of events) reading.take(event);
      const node = reading.history.find(task);
      if (node === undefined)
        throw new AuditError('task-not-recorded', `nothing is recorded of a task "${task}"`, {
          hint: 'list them: hoop audit tasks',
        });
      for (const line of treeLines(node, reading)) this.print(line);
      return { v: 1, tasks: [node], steps: reading.steps() };
    });
  }
}
