/** One segment of a recording: the stored file is the one that the log names, and it is what it says it is. */
import { hash } from 'node:crypto';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { EntryOf } from '../entry.ts';
import { sealedName, sessionDirectory } from '../recording/layout.ts';
import { readRecords } from '../recording/records.ts';
import { readIfThere } from '../regular-file.ts';
import type { Findings, Place } from './finding.ts';

/** A segment closes at 1 MiB; one that claims more than this is not decompressed. */
const maxRawBytes = 256 * 1024 * 1024;
/** Compressing adds little to what cannot be compressed. */
const maxStoredBytes = 2 * maxRawBytes;

/** @param evidence the evidence directory */
export async function checkSegment(
  evidence: string,
  openedAtMs: number,
  { entry, index }: { entry: EntryOf<'segment'>; index: number },
  findings: Findings,
): Promise<void> {
  const file = path.join(sessionDirectory(evidence, openedAtMs, entry.session), sealedName(entry.index));
  const place = { index, session: entry.session, segment: entry.index, file: path.relative(evidence, file) };
  const stored = await readIfThere(file, Math.min(entry.bytes, maxStoredBytes));
  if (stored === null) {
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
  checkHeader(raw, entry, findings, place);
}

function decompress(stored: Buffer, rawBytes: number): Buffer | null {
  if (rawBytes > maxRawBytes) return null;
  try {
    return zstdDecompressSync(stored, { maxOutputLength: Math.max(rawBytes, 1) });
  } catch {
    return null;
  }
}

/** Every segment names itself, so that two of them cannot change places. */
function checkHeader(raw: Buffer, entry: EntryOf<'segment'>, findings: Findings, place: Place): void {
  let names = false;
  try {
    const header = readRecords(raw).next().value;
    names = header?.kind === 'segment' && header.session === entry.session && header.index === entry.index;
  } catch {
    // Not a record at all.
  }
  if (!names) findings.failure('segment-header-mismatch', 'a segment says that it is another one', place);
}
