/**
 * The body of `add-checkpoint`, https://c2sp.org/tlog-witness: `old <size>`, hashes of a consistency proof, an empty line,
 * the checkpoint. Both ways.
 */
import { hashBytes, type Hash } from '../../evidence/log/tlog.ts';

export interface AddCheckpoint {
  /** Size of the last checkpoint that the witness cosigned. */
  readonly old: number;
  /** From there to the checkpoint. */
  readonly proof: readonly Hash[];
  /** Signed note. */
  readonly checkpoint: Buffer;
}

/** Longest consistency proof that a client may send. */
const maxProof = 63;

export const formatAddCheckpoint = ({ old, proof, checkpoint }: AddCheckpoint): Buffer =>
  Buffer.concat([
    Buffer.from(`old ${old}\n${proof.map((each) => `${each.toString('base64')}\n`).join('')}\n`),
    checkpoint,
  ]);

/** Null when the bytes are not that. */
export function parseAddCheckpoint(body: Buffer): AddCheckpoint | null {
  const end = body.indexOf('\n\n');
  if (end < 0) return null;
  const [first = '', ...lines] = body.toString('latin1', 0, end).split('\n');
  const old = parseSize(/^old (\S+)$/.exec(first)?.[1] ?? '');
  const proof = lines.map((line) => Buffer.from(line, 'base64'));
  const whole = proof.every((hash, at) => hash.length === hashBytes && hash.toString('base64') === lines[at]);
  if (old === null || !whole || proof.length > maxProof) return null;
  return { old, proof, checkpoint: body.subarray(end + 2) };
}

/** A tree size in decimal without leading zeroes; null for anything else. */
export function parseSize(text: string): number | null {
  const size = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(size) ? size : null;
}
