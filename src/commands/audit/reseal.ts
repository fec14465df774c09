import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { recipientsOf, Resealer, tallyLines } from '../../cli/audit/reseal.ts';
import { RelaySource } from '../../cli/audit/source.ts';
import { identitiesIn } from '../../cli/audit/unseal.ts';
import { RelayCommand } from '../../cli/relay-command.ts';

export default class AuditReseal extends RelayCommand {
  static override description =
    'seal the originals of what was masked to other auditors; those who are not named open nothing any more';
  static override examples = [
    '<%= config.bin %> audit reseal --identity old.key --recipient age1… --recipient age1… --from 2026-01-01',
    '<%= config.bin %> audit reseal 01JD0M3V6S9J2Q4W8X5Y7Z1ABC --identity old.key --recipient age1…',
  ];
  static override args = { session: Args.string({ description: 'id of the session; none: filters choose' }) };
  static override flags = {
    ...rangeFlags,
    identity: Flags.string({
      description: 'file with the age identity that opens them now; it stays on this machine',
      required: true,
      helpValue: 'FILE',
    }),
    recipient: Flags.string({
      description: 'recipient to seal them to; give it once for each',
      required: true,
      multiple: true,
      helpValue: 'age1…',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditReseal);
    const query = queryOf(flags);
    if ((args.session === undefined) === (Object.keys(query).length === 0))
      this.error('name a session, or say which by --from, --to, --person, --target or --task', { exit: 2 });
    const recipients = recipientsOf(flags.recipient);
    const identities = await identitiesIn(flags.identity);
    const tally = await this.withAccount(flags, async (account) => {
      const source = RelaySource.of(account, (line) => this.note(line));
      const resealer = new Resealer(account, { identities, recipients });
      const sessions =
        args.session === undefined ? await source.sessions(query) : [await source.session(args.session)];
      for (const session of sessions) {
        if (session.closedAt === null) this.note(`  ${session.session} is not over: left as it is`);
        else if (session.totals.redactions > 0)
          for await (const segment of source.originals(session)) await resealer.take(segment);
      }
      return resealer.finish();
    });
    for (const line of tallyLines(tally)) this.print(line);
    return tally;
  }
}
