/** The other direction: nothing stands under `recordings/` that the log does not explain. */
import path from 'node:path';
import { listIfThere, within, type Location } from '../location.ts';
import { parseName, sessionPath } from '../recording/layout.ts';
import type { Findings } from './finding.ts';
import type { Sessions } from './sessions.ts';

/** `<yyyy>/<mm>/<dd>` above the sessions. */
const depthOfSessions = 3;

/**
 * @param later sessions that only the unsigned end of the log names; asked for once, when there is an unknown one
 */
export async function checkRecordings(
  evidence: Location,
  sessions: Sessions,
  later: () => Promise<ReadonlySet<string>>,
  findings: Findings,
): Promise<void> {
  const walk = async (directory: string, depth: number): Promise<void> => {
    for (const entry of await listIfThere(within(evidence, directory))) {
      const found = `${directory}/${entry.name}`;
      if (!entry.isDirectory()) unlogged(found, findings);
      else if (depth < depthOfSessions) await walk(found, depth + 1);
      else await checkSession({ evidence, sessions, later, findings }, found);
    }
  };
  await walk('recordings', 0);
}

interface Walk {
  readonly evidence: Location;
  readonly sessions: Sessions;
  readonly later: () => Promise<ReadonlySet<string>>;
  readonly findings: Findings;
}

/** @param directory below the evidence directory */
async function checkSession(walk: Walk, directory: string): Promise<void> {
  const { evidence, sessions, later, findings } = walk;
  const session = path.posix.basename(directory);
  const extent = sessions.extent(session);
  const place = { session, file: directory };
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
  if (directory !== sessionPath(extent.openedAtMs, session)) {
    unlogged(place.file, findings, session);
    return;
  }
  for (const entry of await listIfThere(within(evidence, directory))) {
    const file = entry.isFile() ? parseName(entry.name) : null;
    const name = `${directory}/${entry.name}`;
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
