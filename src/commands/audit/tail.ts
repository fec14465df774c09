import { AuditCommand, dirFlag, outcomeFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { eventLine } from '../../cli/audit/event-line.ts';
import { untilInterrupted } from '../../cli/audit/interrupt.ts';

export default class AuditTail extends AuditCommand {
  static override description = 'watch what happens: entries of the log, and commands as they end';
  static override examples = [
    '<%= config.bin %> audit tail',
    '<%= config.bin %> audit tail --target db-prod --json   # one JSON document a line',
  ];
  static override flags = {
    ...dirFlag,
    person: rangeFlags.person,
    target: rangeFlags.target,
    task: rangeFlags.task,
    ...outcomeFlag,
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditTail);
    return this.withSource(flags, async (source) => {
      const signal = untilInterrupted();
      let begun = false;
      for await (const event of source.tail(queryOf(flags), signal)) {
        if (!begun) this.note('watching; Ctrl-C ends it');
        begun = true;
        if (event === null) continue;
        await this.write(this.jsonEnabled() ? `${JSON.stringify(event)}\n` : `${eventLine(event)}\n`);
      }
      return undefined;
    });
  }
}
