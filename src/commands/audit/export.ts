import * as Flags from '@oclif/core/flags';
import { AuditCommand, dirFlag, outcomeFlag, queryOf, rangeFlags } from '../../cli/audit/audit-command.ts';
import { exportDirectory } from '../../cli/audit/export-directory.ts';
import { exportFormats, format } from '../../evidence/export/formats.ts';

export default class AuditExport extends AuditCommand {
  static override description = 'write one history in order of time: sign-ins, sessions, commands, reads';
  static override examples = [
    '<%= config.bin %> audit export --format csv > history.csv',
    '<%= config.bin %> audit export --format jsonl --from 2026-11-01 --person ana@example.com',
    '<%= config.bin %> audit export --out evidence   # a directory that can be verified offline',
  ];
  static override flags = {
    ...dirFlag,
    ...rangeFlags,
    ...outcomeFlag,
    session: Flags.string({ description: 'of this session' }),
    format: Flags.option({
      description: 'of what goes to stdout',
      options: exportFormats,
      default: 'json',
    })(),
    out: Flags.string({
      description: 'write the log, recordings, events and key into this new directory',
      exclusive: ['dir', 'format'],
      helpValue: 'DIR',
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditExport);
    if (flags.format === 'csv' && flags.out === undefined && this.jsonEnabled())
      this.error('--json is not csv: leave one of them out', { exit: 2 });
    const query = queryOf(flags);
    return this.withSource(flags, async (source, account) => {
      if (flags.out !== undefined && account !== null) {
        const written = await exportDirectory(account, flags.out, query);
        this.print(
          `  ${written.directory}: ${written.entries} entries, ${written.segments} recorded segments`,
        );
        this.print(
          `  hoop audit verify ${written.directory}${written.sessions === null ? '' : ' --partial'}`,
        );
        return written;
      }
      for await (const piece of format(source.events(query), flags.format)) await this.write(piece);
      return undefined;
    });
  }
}
