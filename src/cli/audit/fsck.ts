/** What `hoop audit fsck` shows. */
import { openCursor, openStore } from '../../relay/archive/archive.ts';
import {
  fsckProblems,
  type FsckCounts,
  type FsckFinding,
  type FsckOptions,
} from '../../relay/archive/fsck.ts';
import type { RelayConfig } from '../../relay/config/config.ts';
import { colour, visible } from '../colour.ts';

/** Null: none is configured. @throws StreamError `stream-cursor-invalid` */
export async function archiveOf(config: RelayConfig): Promise<FsckOptions['archive']> {
  const { archive } = config.evidence;
  if (archive === null) return null;
  const store = openStore(archive, config);
  return { store, next: (await openCursor(config, store)).next };
}

const repairs: Readonly<Record<FsckFinding['repair'], string>> = {
  repaired: colour.green('repaired'),
  failed: colour.red('not repaired'),
  impossible: colour.red('cannot be repaired'),
  'not-asked': colour.yellow('found'),
};

export function findingLine({ problem, file, repair, note }: FsckFinding): string {
  const why = note === null ? '' : `: ${note}`;
  return `${visible(`${problem}  ${file}  (${fsckProblems[problem]})`)}  ${repairs[repair]}${visible(why)}`;
}

export function* countLines(counts: FsckCounts, findings: readonly FsckFinding[]): Generator<string> {
  const { entries, files, here, archived, waiting, erased } = counts;
  yield `${files} files under ${entries} entries: ${here} here, ${archived} in the archive`;
  if (waiting > 0) yield `${waiting} wait for the archive`;
  if (erased > 0) yield `${erased} were erased`;
  if (findings.length === 0) yield colour.green('everything is where it should be');
  if (findings.some(({ repair }) => repair === 'not-asked')) yield 'mend it with: hoop audit fsck --repair';
}

/** How far it is, on stderr, where that is a terminal. */
export function progressLine(shown: boolean): {
  draw: (done: number, of: number) => void;
  clear: () => void;
} {
  const out = process.stderr;
  const write = (text: string): void => {
    if (shown && out.isTTY) out.write(`\r\u001b[K${text}`);
  };
  return {
    draw: (done, of) => write(`  ${Math.floor((100 * done) / Math.max(1, of))} % of ${of} entries`),
    clear: () => write(''),
  };
}
