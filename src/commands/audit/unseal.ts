import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { identitiesIn, lineOf, unsealed } from '../../cli/audit/unseal.ts';

export default class AuditUnseal extends AuditCommand {
  static override description =
    'open the originals of what was masked, with an auditor’s identity: of a session, a value, or all that match';
  static override examples = [
    '<%= config.bin %> audit unseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity auditor.key',
    '<%= config.bin %> audit unseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity auditor.key --segment 0 --index 12 --json',
    '<%= config.bin %> audit unseal --identity auditor.key --target db-prod --from 7d --rule cards --json',
    '<%= config.bin %> audit unseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity auditor.key --dir evidence   # offline',
  ];
  static override args = { session: Args.string({ description: 'id of the session; none: filters choose' }) };
  static override flags = {
    ...dirFlag,
    ...rangeFlags,
    rule: Flags.string({ description: 'only values that this rule masked: NAME, or NAME/DETECTOR' }),
    command: Flags.integer({ description: 'only values in this command, or in its result', min: 1 }),
    identity: Flags.string({
      description: 'file with the age identity; it stays on this machine',
      required: true,
      helpValue: 'FILE',
    }),
    segment: Flags.integer({ description: 'only this segment of the recording', min: 0 }),
    index: Flags.integer({
      description: 'only this sealed index',
      min: 0,
      multiple: true,
      dependsOn: ['segment'],
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditUnseal);
    const query = queryOf(flags);
    if ((args.session === undefined) === (Object.keys(query).length === 0))
      this.error('name a session, or say which by --from, --to, --person, --target or --task', { exit: 2 });
    if (args.session === undefined && (flags.segment ?? flags.command) !== undefined)
      this.error('--segment and --command are of one session: name it', { exit: 2 });
    const identities = await identitiesIn(flags.identity);
    return this.withSource(flags, async (source) => {
      const sessions =
        args.session === undefined ? await source.sessions(query) : [await source.session(args.session)];
      if (flags.dir !== undefined)
        this.note(
          '  offline: no relay knows of this, and no entry of the log tells that these originals were opened',
        );
      const { rule, command, segment } = flags;
      const choice = { rule, command, segment, index: flags.index?.join(',') };
      let some = false;
      for (const session of sessions) {
        // Of one that is open the log does not know all yet.
        if (session.closedAt !== null && session.totals.redactions === 0) continue;
        for await (const one of unsealed(session, source.originals(session, choice), identities)) {
          some = true;
          const before = sessions.length === 1 ? '' : `${session.session}  `;
          await this.write(this.jsonEnabled() ? `${JSON.stringify(one)}\n` : `${before}${lineOf(one)}\n`);
        }
      }
      if (!some) this.note('  nothing was masked here');
      return undefined;
    });
  }
}
