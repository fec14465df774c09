import * as Flags from '@oclif/core/flags';
import {
  askedIn,
  AuditCommand,
  dirFlag,
  outcomeFlag,
  queryOf,
  rangeFlags,
} from '../../cli/audit/audit-command.ts';
import { exportBundle } from '../../cli/audit/bundle.ts';
import { isBundle } from '../../cli/audit/source.ts';
import { exportDirectory } from '../../cli/audit/export-directory.ts';
import { exportFormats, format } from '../../evidence/export/formats.ts';

export default class AuditExport extends AuditCommand {
  static override description = 'write one history in order of time: sign-ins, sessions, commands, reads';
  static override examples = [
    '<%= config.bin %> audit export --format csv > history.csv',
    '<%= config.bin %> audit export --format jsonl --from 2026-11-01 --person ana@example.com',
    '<%= config.bin %> audit export --from 7d --target db-prod --out evidence.zip   # one file that verifies offline',
    '<%= config.bin %> audit export --out evidence   # the same as a directory',
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
      description: 'write log, recordings and events into this new file (.zip) or directory',
      exclusive: ['format'],
      helpValue: 'FILE.zip|DIR',
    }),
    quiet: Flags.boolean({ description: 'no progress', dependsOn: ['out'] }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(AuditExport);
    if (!flags.format.startsWith('json') && flags.out === undefined && this.jsonEnabled())
      this.error(`--json is not ${flags.format}: leave one of them out`, { exit: 2 });
    const query = queryOf(flags);
    const { out, dir } = flags;
    if (out !== undefined && dir !== undefined && (!out.endsWith('.zip') || (await isBundle(dir))))
      this.error('--out FILE.zip goes with --dir of a directory', { exit: 2 });
    return this.withSource(flags, async (source, account) => {
      if (out?.endsWith('.zip')) {
        const wish = { file: out, query, asked: askedIn(flags), quiet: flags.quiet };
        const written = await exportBundle(account ?? dir!, wish);
        this.print(`  ${written.file}: ${written.entries} entries, ${written.segments} recorded segments`);
        this.print(`  hoop audit verify ${written.file}`);
        return written;
      }
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
