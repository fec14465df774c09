/** What of an entry of the log is to be in the archive: files below the evidence directory, with the digests that it names. */
import type { Entry, EntryOf } from '../../evidence/entry.ts';
import { keySetPath, proofPaths, proofsOf } from '../../evidence/logins/layout.ts';
import type { KeptSession } from '../../evidence/read/kept.ts';
import { originalsName, sealedName, sessionPath } from '../../evidence/recording/layout.ts';

/** One of these names holds it: who is asked about a sign-in may have kept the proof the day before. */
export interface NamedFile {
  readonly names: readonly string[];
  readonly sha256: string;
}

export function filesOfSegment(
  openedAt: string,
  { session, index, sha256, sealed }: EntryOf<'segment'>,
): NamedFile[] {
  const directory = sessionPath(Date.parse(openedAt), session);
  return [
    { names: [`${directory}/${sealedName(index)}`], sha256 },
    ...(sealed === null ? [] : [{ names: [`${directory}/${originalsName(index)}`], sha256: sealed }]),
  ];
}

/** Of originals, also when they were never finished. */
export const isOfOriginals = (name: string): boolean => /\.age(?:\.tmp)?$/.test(name);

export const isErased = ({ erased }: Pick<KeptSession, 'erased'>, name: string): boolean =>
  erased.has('recording') || (erased.has('originals') && isOfOriginals(name));

export const fileOfResealed = (
  openedAt: string,
  { session, segment, to }: EntryOf<'originals.resealed'>,
): NamedFile => ({
  names: [`${sessionPath(Date.parse(openedAt), session)}/${originalsName(segment)}`],
  sha256: to,
});

/** What proves a sign-in; empty for entries about something else. */
export function filesOfSignIn(entry: Entry): NamedFile[] {
  if (entry.kind === 'issuer.keys' && entry.jwks === null)
    return [{ names: [keySetPath(entry.jwksDigest)], sha256: entry.jwksDigest }];
  if (entry.kind !== 'login') return [];
  return proofsOf(entry).map((proof) => ({ names: proofPaths(entry.time, proof), sha256: proof.digest }));
}
