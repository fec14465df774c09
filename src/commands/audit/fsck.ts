import * as Flags from '@oclif/core/flags';
import { colour, visible } from '../../cli/colour.ts';
import { exitCodes } from '../../cli/exit-codes.ts';
import { OperatorCommand } from '../../cli/operator-command.ts';
import { openCursor, openStore } from '../../relay/archive/archive.ts';
import { fsck, fsckProblems, type FsckCounts, type FsckFinding } from '../../relay/archive/fsck.ts';
import type { RelayConfig } from '../../relay/config/config.ts';

const repairs: Readonly<Record<FsckFinding['repair'], string>> = {
  repaired: colour.green('repaired'),
  failed: colour.red('not repaired'),
  impossible: colour.red('cannot be repaired'),
  'not-asked': colour.yellow('found'),
};

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
    const config = await this.relayConfig(flags);
    const archive = await archiveOf(config);
    const bar = this.#bar();
    const findings: FsckFinding[] = [];
    try {
      const checking = fsck({
        evidence: config.evidence.directory,
        archive,
        session: flags.session,
        repair: flags.repair,
        readBack: flags.read,
        onProgress: bar.draw,
      });
      let next = await checking.next();
      for (; next.done !== true; next = await checking.next()) {
        bar.clear();
        findings.push(next.value);
        this.print(`  ${lineOf(next.value)}`);
      }
      bar.clear();
      return this.#told(findings, next.value);
    } finally {
      bar.clear();
      archive?.store.close();
    }
  }

  #told(findings: readonly FsckFinding[], counts: FsckCounts): unknown {
    const left = findings.filter(({ repair }) => repair !== 'repaired').length;
    const { entries, files, here, archived, waiting, erased } = counts;
    this.print(`  ${files} files under ${entries} entries: ${here} here, ${archived} in the archive`);
    if (waiting > 0) this.print(`  ${waiting} wait for the archive`);
    if (erased > 0) this.print(`  ${erased} were erased`);
    if (findings.length === 0) this.print(`  ${colour.green('everything is where it should be')}`);
    else if (left > 0 && findings.some(({ repair }) => repair === 'not-asked'))
      this.print('  mend it with: hoop audit fsck --repair');
    if (left > 0) process.exitCode = exitCodes.verificationFailed;
    return { ok: left === 0, counts, findings };
  }

  /** On stderr, where that is a terminal. */
  #bar(): { draw: (done: number, of: number) => void; clear: () => void } {
    const out = process.stderr;
    if (!out.isTTY || this.jsonEnabled()) return { draw: () => undefined, clear: () => undefined };
    return {
      draw: (done, of) =>
        void out.write(`\r\u001b[K  ${Math.floor((100 * done) / Math.max(1, of))} % of ${of} entries`),
      clear: () => void out.write('\r\u001b[K'),
    };
  }
}

async function archiveOf(config: RelayConfig): Promise<Parameters<typeof fsck>[0]['archive']> {
  const { archive } = config.evidence;
  if (archive === null) return null;
  const store = openStore(archive, config);
  return { store, next: (await openCursor(config, store)).next };
}

function lineOf({ problem, file, repair, note }: FsckFinding): string {
  const why = note === null ? '' : `: ${note}`;
  return visible(`${problem}  ${file}  (${fsckProblems[problem]})  `) + repairs[repair] + visible(why);
}
