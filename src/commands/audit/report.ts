import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { makeReport, printReport } from '../../cli/audit/access-report.ts';
import { AuditCommand, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { reportPage } from '../../cli/audit/page/page.ts';
import { namedEvidence, writeNew } from '../../cli/audit/source.ts';
import { askedBy, verifyFlags } from '../../cli/audit/verify-flags.ts';
import { verifyNamed, verifyRelay } from '../../cli/audit/verification.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import type { AuditReport as Report } from '../../evidence/report/index.ts';

export default class AuditReport extends AuditCommand {
  static override description =
    'who did what, what was denied, who decided, what is missing, and the controls that it bears on; exit code 6 when it does not verify';
  static override examples = [
    '<%= config.bin %> audit report --from 7d',
    '<%= config.bin %> audit report evidence --vkey-file relay.vkey --html report.html   # one page, opens offline',
    '<%= config.bin %> audit report --target db-prod --no-verify --json',
  ];
  static override args = {
    dir: Args.string({
      description: 'evidence directory, export or bundle (FILE.zip); none: the relay’s',
      parse: namedEvidence,
    }),
  };
  static override flags = {
    ...rangeFlags,
    ...verifyFlags,
    html: Flags.string({
      description: 'write it as one page into this new file, which opens without a network',
      helpValue: 'FILE',
    }),
    verify: Flags.boolean({
      description: 'verify the whole log and its recordings first',
      default: true,
      allowNo: true,
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(AuditReport);
    const { dir } = args;
    const { partial } = flags;
    const query = queryOf(flags);
    return this.withSource({ ...flags, dir }, async (source, account) => {
      const asked = askedBy(flags);
      const verify = async () => {
        this.note('verifying …');
        if (account !== null) return verifyRelay(account, asked);
        return verifyNamed(dir!, { ...asked, partial });
      };
      const verified = flags.verify ? await verify() : null;
      this.note('reading …');
      const report = await makeReport(source, query, verified);
      if (flags.html === undefined) printReport(this, report, verified);
      else await this.#writePage(flags.html, report);
      if (verified?.report.verified === false) process.exitCode = exitCodes.verificationFailed;
      return report;
    });
  }

  async #writePage(file: string, report: Report): Promise<void> {
    await writeNew(file, reportPage(report, `hoop ${this.config.version}, ${new Date().toISOString()}`));
    this.print(`  ${file}`);
  }
}
