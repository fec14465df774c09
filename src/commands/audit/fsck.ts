import * as Flags from '@oclif/core/flags';
import { archiveOf, countLines, findingLine, progressLine } from '../../cli/audit/fsck.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { fsck, type FsckFinding } from '../../relay/archive/fsck.ts';

export default class AuditFsck extends OperatorCommand {
  static override description =
    'compare the log with the recordings here and in the archive, on the relay’s machine; exit code 6 when something is left';
  static override examples = [
    '<%= config.bin %> audit fsck --config /etc/hoop/relay.yaml',
    '<%= config.bin %> audit fsck --repair   # mend what can be mended from the other side',
  ];
  static override flags = {
    repair: Flags.boolean({ description: 'mend here what the archive has, and in the archive what is here' }),
    read: Flags.boolean({
      description: 'read back what the archive holds, instead of believing its digests',
    }),
    session: Flags.string({ description: 'of this session alone', helpValue: 'ID' }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditFsck);
    const { repair, read: readBack, session } = flags;
    const config = await this.relayConfig(flags);
    const archive = await archiveOf(config);
    const bar = progressLine(!this.jsonEnabled());
    const findings: FsckFinding[] = [];
    const { directory: evidence } = config.evidence;
    try {
      const checking = fsck({ evidence, archive, session, repair, readBack, onProgress: bar.draw });
      let next = await checking.next();
      for (; next.done !== true; next = await checking.next()) {
        findings.push(next.value);
        bar.clear();
        this.print(`  ${findingLine(next.value)}`);
      }
      bar.clear();
      for (const line of countLines(next.value, findings)) this.print(`  ${line}`);
      const ok = findings.every((finding) => finding.repair === 'repaired');
      if (!ok) process.exitCode = exitCodes.verificationFailed;
      return { ok, counts: next.value, findings };
    } finally {
      bar.clear();
      archive?.store.close();
    }
  }
}
