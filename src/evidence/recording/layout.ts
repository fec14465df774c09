/** Where a recording stands under the evidence directory; FORMAT.md says it in prose. */
import path from 'node:path';

/** A segment closes when it holds this much (before compression). */
export const segmentBytes = 1024 * 1024;
/** Content over this stands apart, as blobs of at most this size. */
export const inlineBytes = 65_536;

/** `recordings/<yyyy>/<mm>/<dd>/<session>`, by the UTC date of `session.opened`. */
export function sessionPath(openedAtMs: number, session: string): string {
  const [year, month, day] = new Date(openedAtMs).toISOString().slice(0, 10).split('-');
  return `recordings/${year}/${month}/${day}/${session}`;
}

/** The same under an evidence directory. */
export const sessionDirectory = (evidence: string, openedAtMs: number, session: string): string =>
  path.join(evidence, sessionPath(openedAtMs, session));

/** An open segment: appended to, never rewritten. */
export const openName = (index: number): string => `${index}.cbor`;
export const sealedName = (index: number): string => `${index}.cbor.zst`;
/** While it is being written; means nothing after a crash. */
export const unfinishedName = (index: number): string => `${index}.cbor.zst.tmp`;

/** The originals of what the segment masked, an age file. */
export const originalsName = (index: number): string => `${index}.age`;
export const unfinishedOriginalsName = (index: number): string => `${index}.age.tmp`;

/** What a file name in a session's directory is; null for a foreign file. */
export function parseName(
  name: string,
): { readonly index: number; readonly state: 'open' | 'sealed' | 'originals' | 'unfinished' } | null {
  const match = /^(0|[1-9]\d{0,14})\.(cbor|cbor\.zst|age)(\.tmp)?$/.exec(name);
  if (match === null) return null;
  const [, index, ending, tmp] = match;
  if (tmp !== undefined) return ending === 'cbor' ? null : { index: Number(index), state: 'unfinished' };
  const state = ending === 'cbor' ? 'open' : ending === 'age' ? 'originals' : 'sealed';
  return { index: Number(index), state };
}
