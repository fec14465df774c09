import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { reportLines } from '../../cli/audit/report.ts';
import { askedBy, verifyFlags } from '../../cli/audit/verify-flags.ts';
import { verifyNamed, verifyRelay } from '../../cli/audit/verification.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import { RelayCommand } from '../../cli/relay-command.ts';

export default class AuditVerify extends RelayCommand {
  static override description =
    'prove that nothing was changed, removed or reordered; exit code 6 when something was';
  static override examples = [
    '<%= config.bin %> audit verify   # what the relay shows you, with the key pinned at sign-in',
    '<%= config.bin %> audit verify evidence --vkey-file relay.vkey   # offline',
    '<%= config.bin %> audit verify evidence.zip --vkey-file relay.vkey',
    '<%= config.bin %> audit verify evidence --attribution --session 01JD0M3V6S9J2Q4W8X5Y7Z1ABC   # who, step by step',
    '<%= config.bin %> audit verify evidence --policy policy.txt   # as far as its witnesses have cosigned',
  ];
  static override args = {
    dir: Args.string({ description: 'evidence directory, export or bundle (FILE.zip); none: the relay’s' }),
  };
  static override flags = {
    ...verifyFlags,
    session: Flags.string({
      description: 'tell every step of the acts about this session',
      dependsOn: ['attribution'],
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditVerify);
    const { dir } = args;
    const { session, partial } = flags;
    const asked = askedBy(flags, session);
    const verified =
      dir === undefined
        ? await this.withAccount(flags, (account) => verifyRelay(account, asked))
        : await verifyNamed(dir, { ...asked, partial });
    for (const line of reportLines(verified)) this.print(line);
    if (!verified.report.verified) process.exitCode = exitCodes.verificationFailed;
    return verified.report;
  }
}
