/** How much room a file system has, and how that is judged. */
import { statfs } from 'node:fs/promises';

export interface Measured {
  /** For the relay's user; 0 also when no more files can be made. */
  readonly availableBytes: number;
  readonly totalBytes: number;
}

/** Less is too little: a share of the file system, or a size. */
export type Threshold = { readonly percent: number } | { readonly bytes: number };

export type SpaceLevel = 'enough' | 'low' | 'critical' | 'full';

/** Segments, their temporary files and the log's tiles want some. */
const leastFiles = 100;

/** Less free space than this is full. */
export const fullBelow = (reserveBytes: number): number => reserveBytes / 8;
/** What must be free beside a whole reserve before sessions open again. */
export const leastBeyond = (reserveBytes: number): number => 2 * fullBelow(reserveBytes);

/** @throws Error of the system call */
export async function measureSpace(directory: string): Promise<Measured> {
  const { bsize, blocks, bavail, files, ffree } = await statfs(directory);
  // File systems that make inodes as they need them tell none.
  const outOfFiles = files > 0 && ffree < leastFiles;
  return { availableBytes: outOfFiles ? 0 : bavail * bsize, totalBytes: blocks * bsize };
}

export const bytesOf = (threshold: Threshold, { totalBytes }: Measured): number =>
  'bytes' in threshold ? threshold.bytes : (totalBytes * threshold.percent) / 100;

/** Judges what is not full. */
export function levelOf(
  measured: Measured,
  { warn, critical }: { readonly warn: Threshold; readonly critical: Threshold },
  before: SpaceLevel,
): Exclude<SpaceLevel, 'full'> {
  const under = (threshold: Threshold, already: boolean): boolean =>
    // A level is left a tenth above its threshold, so that it is not told again and again.
    measured.availableBytes * 10 < bytesOf(threshold, measured) * (already ? 11 : 10);
  if (under(critical, before === 'critical')) return 'critical';
  return under(warn, before === 'critical' || before === 'low') ? 'low' : 'enough';
}
