/**
 * One segment of a recording and its sealed originals: the stored files are those that the log names, and they are what
 * they say they are. What is sealed is not opened: that needs an auditor's identity, and proves no more.
 */
import { hash } from 'node:crypto';
import { release } from '../../bytes/release.ts';
import { zstdDecompressSync } from 'node:zlib';
import type { EntryOf } from '../entry.ts';
import { within, type Location } from '../location.ts';
import { originalsName, sealedName, sessionPath } from '../recording/layout.ts';
import type { SegmentRecord } from '../recording/records.ts';
import { readIfThere } from '../regular-file.ts';
import { checkContents } from './contents.ts';
import type { Erasures } from './erasures.ts';
import type { Findings } from './finding.ts';
import type { Reseals } from './reseals.ts';

/** A segment closes at 1 MiB; one that claims more than this is not decompressed. */
const maxRawBytes = 256 * 1024 * 1024;
/** Compressing adds little to what cannot be compressed. */
const maxStoredBytes = 2 * maxRawBytes;

/** As large as what was masked; not read as a whole into memory beyond this. */
const maxOriginalsBytes = maxStoredBytes;

interface Checks {
  readonly findings: Findings;
  readonly erasures: Pick<Erasures, 'excuses'>;
  readonly reseals: Pick<Reseals, 'standing'>;
}

/**
 * @param evidence the evidence directory
 * @param take gets every record of a segment that is the one that was logged, and keeps nothing of its memory
 */
export async function checkSegment(
  evidence: Location,
  openedAtMs: number,
  { entry, index }: { entry: EntryOf<'segment'>; index: number },
  { take, ...checks }: Checks & { take: (record: SegmentRecord) => void },
): Promise<void> {
  const directory = sessionPath(openedAtMs, entry.session);
  const { findings, erasures } = checks;
  await checkOriginals(evidence, directory, { entry, index }, checks);
  const file = `${directory}/${sealedName(entry.index)}`;
  const place = { index, session: entry.session, segment: entry.index, file };
  const stored = await readIfThere(within(evidence, file), Math.min(entry.bytes, maxStoredBytes));
  if (stored === null) {
    if (erasures.excuses(entry.session, 'segments')) return;
    findings.failure('segment-missing', 'a segment of the recording is missing', place);
    return;
  }
  if (hash('sha256', stored, 'hex') !== entry.sha256) {
    findings.failure(
      'segment-digest-mismatch',
      'a segment of the recording is not the one that was logged',
      place,
    );
    return;
  }
  const raw = decompress(stored, entry.rawBytes);
  if (raw === null || raw.length !== entry.rawBytes || stored.length !== entry.bytes) {
    findings.failure('segment-undecodable', 'a segment does not decompress to what was logged', place);
    return;
  }
  let gap: string | null = null;
  const lookAt = (record: SegmentRecord): void => {
    if (record.kind === 'gap') gap ??= record.reason;
    take(record);
  };
  checkContents(raw, entry, { findings, place, take: lookAt });
  release(raw);
  if (gap !== null)
    findings.warning('recording-gap', `a part of the recording is missing: ${String(gap)}`, place);
}

async function checkOriginals(
  evidence: Location,
  directory: string,
  { entry, index }: { entry: EntryOf<'segment'>; index: number },
  { findings, erasures, reseals }: Checks,
): Promise<void> {
  const file = `${directory}/${originalsName(entry.index)}`;
  const place = { index, session: entry.session, segment: entry.index, file };
  const stored = await readIfThere(within(evidence, file), entry.sealed === null ? 0 : maxOriginalsBytes);
  if (entry.sealed === null) {
    if (stored !== null)
      findings.failure('recording-unlogged', 'a file among the recordings that the log does not name', place);
  } else if (stored === null) {
    if (!erasures.excuses(entry.session, 'originals'))
      findings.failure('originals-missing', 'the sealed originals of a segment are missing', place);
  } else {
    const standing = reseals.standing(entry, hash('sha256', stored, 'hex'));
    if (standing === 'foreign')
      findings.failure(
        'originals-digest-mismatch',
        'the sealed originals of a segment are not those that were logged',
        place,
      );
    else if (standing === 'replaced')
      findings.warning(
        'originals-outdated',
        'the originals of a segment were sealed to others, and the file is still that from before',
        place,
      );
  }
}

function decompress(stored: Buffer, rawBytes: number): Buffer | null {
  if (rawBytes > maxRawBytes) return null;
  try {
    // In one piece; what says that it is longer, piece by piece.
    const chunkSize = Math.min(Math.max(rawBytes + 1, 64 * 1024), 2 * 1024 * 1024);
    return zstdDecompressSync(stored, { maxOutputLength: Math.max(rawBytes, 1), chunkSize });
  } catch {
    return null;
  }
}
