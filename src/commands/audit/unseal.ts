import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag } from '../../cli/audit/audit-command.ts';
import { identitiesIn, lineOf, unsealed } from '../../cli/audit/unseal.ts';

export default class AuditUnseal extends AuditCommand {
  static override description = 'open the originals of what a session masked, with an auditor’s identity';
  static override examples = [
    '<%= config.bin %> audit unseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity auditor.key',
    '<%= config.bin %> audit unseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity auditor.key --segment 0 --index 12 --json',
    '<%= config.bin %> audit unseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity auditor.key --dir evidence   # offline',
  ];
  static override args = { session: Args.string({ description: 'id of the session', required: true }) };
  static override flags = {
    ...dirFlag,
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
    const identities = await identitiesIn(flags.identity);
    return this.withSource(flags, async (source) => {
      const session = await source.session(args.session);
      if (flags.dir !== undefined)
        this.note(
          '  offline: no relay knows of this, and no entry of the log tells that these originals were opened',
        );
      const segments = source.originals(session, flags.segment ?? null);
      let some = false;
      for await (const one of unsealed(segments, identities, new Set(flags.index))) {
        some = true;
        await this.write(this.jsonEnabled() ? `${JSON.stringify(one)}\n` : `${lineOf(one)}\n`);
      }
      if (!some) this.note('  nothing was masked here');
      return undefined;
    });
  }
}
