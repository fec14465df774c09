/**
 * The files of an evidence directory that verification needs, by the one spelling of their paths. A path that comes from
 * outside is never joined to a directory: it is parsed, and built again from what it said.
 */
import { isSessionId } from '../../model/ids.ts';
import { sizeIfThere, within, type Location } from '../location.ts';
import { parseTilePath, tilePath, tilesAt, tileWidth, type TileLevel } from '../log/tile.ts';
import { publishedSize } from '../log/read.ts';
import { originalsName, parseName, sealedName, sessionPath } from '../recording/layout.ts';
import type { Entry, EntryOf } from '../entry.ts';
import { KeptProofs, keySetPath, parseProofPath, proofsOf } from '../logins/layout.ts';
import { readEntries } from './entries.ts';

/** Below the evidence directory, `/` between the parts. */
export interface EvidenceFilePath {
  readonly path: string;
  /** Null: of the log, or of a sign-in. */
  readonly session: string | null;
}

/** Null for anything that is not exactly a file of the log, of a sign-in, a sealed segment or its sealed originals. */
export function parseEvidencePath(given: string): EvidenceFilePath | null {
  if (given === 'log/checkpoint') return { path: given, session: null };
  if (given.startsWith('log/')) {
    const tile = parseTilePath(given.slice('log/'.length));
    return tile === null ? null : { path: `log/${tilePath(tile.level, tile.n, tile.width)}`, session: null };
  }
  if (parseProofPath(given) !== null) return { path: given, session: null };
  const match = /^recordings\/(\d{4})\/(\d\d)\/(\d\d)\/([^/]+)\/([^/]+)$/.exec(given);
  if (match === null) return null;
  const [, year, month, day, session, name] = match;
  const file = parseName(name!);
  if (!isSessionId(session!) || (file?.state !== 'sealed' && file?.state !== 'originals')) return null;
  const spelt = file.state === 'sealed' ? sealedName(file.index) : originalsName(file.index);
  return { path: `recordings/${year}/${month}/${day}/${session}/${spelt}`, session };
}

/**
 * Paths of every tile and entry bundle of a log of this size, below the log's directory.
 * @param from a smaller size: tiles that were full by then are left out
 */
export function* tilesOf(size: number, from = 0): Generator<string> {
  const levels: TileLevel[] = ['entries'];
  for (let hashes = size, level = 0; hashes > 0; hashes = Math.floor(hashes / tileWidth))
    levels.push(level++);
  for (const level of levels) {
    const { full, partial } = tilesAt(level === 'entries' ? 0 : level, size);
    const { full: before } = tilesAt(level === 'entries' ? 0 : level, from);
    for (let n = before; n < full; n++) yield tilePath(level, n);
    if (partial > 0) yield tilePath(level, full, partial);
  }
}

/** Paths of what a `segment` entry names, below the evidence directory: the segment, and its originals if it has any. */
export function segmentPaths(
  openedAt: string,
  { session, index, sealed }: Pick<EntryOf<'segment'>, 'session' | 'index' | 'sealed'>,
): string[] {
  const directory = sessionPath(Date.parse(openedAt), session);
  const names = [sealedName(index), ...(sealed === null ? [] : [originalsName(index)])];
  return names.map((name) => `${directory}/${name}`);
}

/**
 * Files that are there: the log under its checkpoint, then the segments that it names, of sessions that `wanted` takes.
 * @param signIns also what proves sign-ins, and large key sets
 * @throws EvidenceError `evidence-not-found`, `log-damaged`
 */
export async function* evidenceFiles(
  evidence: Location,
  wanted: (session: string) => boolean,
  signIns: boolean,
): AsyncGenerator<{ path: string; bytes: number }> {
  const size = await publishedSize(within(evidence, 'log'));
  yield* present(evidence, 'log/checkpoint');
  for (const tile of tilesOf(size)) yield* present(evidence, `log/${tile}`);
  const opened = new Map<string, string>();
  const proofs = new KeptProofs(evidence);
  /** Of sign-ins: a login may be told again. */
  const named = new Set<string>();
  for await (const { index, entry } of readEntries(evidence)) {
    if (index >= size) return;
    if (entry.kind === 'session.opened' && wanted(entry.session)) opened.set(entry.session, entry.time);
    else if (entry.kind === 'session.closed') opened.delete(entry.session);
    else if (entry.kind === 'segment') {
      const openedAt = opened.get(entry.session);
      if (openedAt === undefined) continue;
      for (const file of segmentPaths(openedAt, entry)) yield* present(evidence, file);
    } else if (signIns)
      for (const file of await filesOfSignIn(proofs, entry)) {
        if (named.has(file)) continue;
        named.add(file);
        yield* present(evidence, file);
      }
  }
}

/** Below the evidence directory; those that are kept here. */
async function filesOfSignIn(proofs: KeptProofs, entry: Entry): Promise<readonly string[]> {
  if (entry.kind === 'issuer.keys' && entry.jwks === null) return [keySetPath(entry.jwksDigest)];
  if (entry.kind !== 'login') return [];
  const files = await Promise.all(proofsOf(entry).map(({ digest }) => proofs.find(digest)));
  return files.filter((file) => file !== null);
}

async function* present(evidence: Location, file: string): AsyncGenerator<{ path: string; bytes: number }> {
  const bytes = await sizeIfThere(within(evidence, file));
  if (bytes !== null) yield { path: file, bytes };
}
