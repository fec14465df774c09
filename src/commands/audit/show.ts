import * as Args from '@oclif/core/args';
import { AuditCommand, dirFlag } from '../../cli/audit/audit-command.ts';
import { commandTable } from '../../cli/audit/command-table.ts';
import { erasedLine } from '../../cli/audit/erased.ts';
import { nameOf } from '../../cli/person.ts';
import type { EventView } from '../../wire/audit.ts';

export default class AuditShow extends AuditCommand {
  static override description = 'show one session and its commands';
  static override examples = ['<%= config.bin %> audit show 01JD0M3V6S9J2Q4W8X5Y7Z1ABC'];
  static override args = { session: Args.string({ description: 'id of the session', required: true }) };
  static override flags = { ...dirFlag };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditShow);
    return this.withSource(flags, async (source) => {
      const session = await source.session(args.session);
      const about = {
        person: nameOf(session.principal),
        issuer: session.principal.issuer,
        groups: session.principal.groups.join(', '),
        target: session.target,
        reason: session.reason,
        task: session.task,
        opened: session.openedAt,
        closed: session.closedAt,
        outcome: session.outcome,
        ...(session.erased !== null && { erased: erasedLine(session.erased) }),
      };
      this.printTable(['session', session.session], Object.entries(about));
      const commands: EventView[] = [];
      for await (const events of source.events({ session: session.session }))
        commands.push(...events.filter(({ kind }) => kind === 'command'));
      this.print('');
      this.printTable(...commandTable(session.protocol, commands));
      return { ...session, recorded: commands };
    });
  }
}
