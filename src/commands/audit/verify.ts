import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { reportLines } from '../../cli/audit/report.ts';
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
    vkey: Flags.string({
      description: 'the log’s verifier key (C2SP signed note)',
      exclusive: ['vkey-file'],
    }),
    'vkey-file': Flags.string({ description: 'file that holds it', helpValue: 'FILE' }),
    since: Flags.string({
      description: 'a checkpoint seen earlier, which the log must extend',
      helpValue: 'FILE',
    }),
    witness: Flags.string({
      description: 'verifier key of a witness that must have cosigned the log; repeat for several',
      multiple: true,
      helpValue: 'VKEY',
      exclusive: ['policy'],
    }),
    quorum: Flags.integer({
      description: 'how many of them are enough; all otherwise',
      min: 1,
      dependsOn: ['witness'],
    }),
    policy: Flags.string({
      description: 'policy of logs and witnesses (C2SP tlog-policy)',
      helpValue: 'FILE',
    }),
    partial: Flags.boolean({
      description: 'the export holds the recordings of some sessions (its scope.json)',
    }),
    attribution: Flags.boolean({
      description: 'follow each act to the identity provider’s own signature',
    }),
    session: Flags.string({
      description: 'tell every step of the acts about this session',
      dependsOn: ['attribution'],
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditVerify);
    const key = { vkey: flags.vkey, file: flags['vkey-file'] };
    const { dir } = args;
    const { since, partial, policy, quorum, session } = flags;
    const attribution = flags.attribution ? { ...(session !== undefined && { session }) } : undefined;
    const witnesses = { vkeys: flags.witness ?? [], quorum, policy };
    const asked = { key, since, attribution, witnesses };
    const verified =
      dir === undefined
        ? await this.withAccount(flags, (account) => verifyRelay(account, asked))
        : await verifyNamed(dir, { ...asked, partial });
    for (const line of reportLines(verified)) this.print(line);
    if (!verified.report.verified) process.exitCode = exitCodes.verificationFailed;
    return verified.report;
  }
}
