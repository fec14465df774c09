/** The other direction: nothing stands under `recordings/` that the log does not explain. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { parseName, sessionDirectory } from '../recording/layout.ts';
import type { Findings } from './finding.ts';
import type { Sessions } from './sessions.ts';

/** `<yyyy>/<mm>/<dd>` above the sessions. */
const depthOfSessions = 3;

/**
 * @param later sessions that only the unsigned end of the log names; asked for once, when there is an unknown one
 */
export async function checkRecordings(
  evidence: string,
  sessions: Sessions,
  later: () => Promise<ReadonlySet<string>>,
  findings: Findings,
): Promise<void> {
  const walk = async (directory: string, depth: number): Promise<void> => {
    for (const entry of await list(directory)) {
      const found = path.join(directory, entry.name);
      if (!entry.isDirectory()) unlogged(path.relative(evidence, found), findings);
      else if (depth < depthOfSessions) await walk(found, depth + 1);
      else await checkSession({ evidence, sessions, later, findings }, found);
    }
  };
  await walk(path.join(evidence, 'recordings'), 0);
}

interface Walk {
  readonly evidence: string;
  readonly sessions: Sessions;
  readonly later: () => Promise<ReadonlySet<string>>;
  readonly findings: Findings;
}

async function checkSession(walk: Walk, directory: string): Promise<void> {
  const { evidence, sessions, later, findings } = walk;
  const session = path.basename(directory);
  const extent = sessions.extent(session);
  const place = { session, file: path.relative(evidence, directory) };
  if (extent === null) {
    if ((await later()).has(session))
      findings.warning(
        'recording-uncommitted',
        'a recording belongs to a session that is not signed yet',
        place,
      );
    else
      findings.failure(
        'recording-unlogged',
        'a recording belongs to a session that the log does not name',
        place,
      );
    return;
  }
  if (directory !== sessionDirectory(evidence, extent.openedAtMs, session)) {
    unlogged(place.file, findings, session);
    return;
  }
  for (const entry of await list(directory)) {
    const file = entry.isFile() ? parseName(entry.name) : null;
    const name = path.relative(evidence, path.join(directory, entry.name));
    if (file === null || (!extent.open && file.index >= extent.segments)) unlogged(name, findings, session);
    // A sealed segment that is in the log was checked there, with its originals; its open form outlives it only while the session is open.
    else if (file.state !== 'sealed' && file.state !== 'originals' && !extent.open)
      findings.warning(
        'recording-leftover',
        'an unsealed file beside the segments of a closed session; it is not what the log names',
        { session, segment: file.index, file: name },
      );
  }
}

function unlogged(file: string, findings: Findings, session?: string): void {
  const place = session === undefined ? { file } : { file, session };
  findings.failure('recording-unlogged', 'a file among the recordings that the log does not name', place);
}

async function list(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
