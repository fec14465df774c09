/**
 * The Merkle tree of the log: hashes and proofs of RFC 6962 (https://www.rfc-editor.org/rfc/rfc6962#section-2), with the
 * verification algorithms of RFC 9162. Pure: no file, no clock.
 *
 * Sizes and indices are plain numbers up to 2^53, so no 32-bit operator may touch them.
 */
import { hash } from 'node:crypto';

/** 32 bytes. Treated as immutable by everybody. */
export type Hash = Buffer;
export const hashBytes = 32;

/** The hash of the perfect subtree over leaves `[index·2^level, (index+1)·2^level)`. */
export type NodeReader = (level: number, index: number) => Hash;

export const emptyRoot: Hash = hash('sha256', '', 'buffer');

/** Through a Latin-1 string: half the cost of letting the crypto module make a Buffer. */
function sha256(input: Uint8Array): Hash {
  const output = Buffer.allocUnsafe(hashBytes);
  output.write(hash('sha256', input, 'binary'), 'latin1');
  return output;
}

export function leafHash(entry: Uint8Array): Hash {
  const input = Buffer.allocUnsafe(1 + entry.length);
  input[0] = 0x00;
  input.set(entry, 1);
  return sha256(input);
}

const nodeInput = Buffer.alloc(1 + 2 * hashBytes, 0x01);

export function nodeHash(left: Uint8Array, right: Uint8Array): Hash {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  return sha256(nodeInput);
}

/** Root over leaf hashes: MTH of RFC 6962. */
export function treeHash(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot;
  // One row after another in the same memory: this is most of the work of verification.
  const row = Buffer.concat(leaves);
  for (let width = leaves.length; width > 1; width = (width + 1) >>> 1) {
    for (let i = 0; i + 1 < width; i += 2) {
      row.copy(nodeInput, 1, i * hashBytes, (i + 2) * hashBytes);
      row.write(hash('sha256', nodeInput, 'binary'), (i >>> 1) * hashBytes, 'latin1');
    }
    // An odd last one rises unhashed; pairing level by level gives the same tree as splitting at powers of two.
    if (width % 2 === 1) row.copy(row, (width >>> 1) * hashBytes, (width - 1) * hashBytes, width * hashBytes);
  }
  return Buffer.from(row.subarray(0, hashBytes));
}

/** Largest power of two smaller than `n`, for n ≥ 2. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Hash of leaves `[from, to)`, a range that RFC 6962's splitting produces. */
function rangeHash(from: number, to: number, read: NodeReader): Hash {
  const width = to - from;
  let level = 0;
  let perfect = 1;
  while (perfect < width) {
    perfect *= 2;
    level += 1;
  }
  if (perfect === width) return read(level, from / width);
  const k = perfect / 2;
  return nodeHash(rangeHash(from, from + k, read), rangeHash(from + k, to, read));
}

/** Root of the tree's first `size` leaves. */
export const rootAt = (size: number, read: NodeReader): Hash =>
  size === 0 ? emptyRoot : rangeHash(0, size, read);

/** PATH(index, D[size]) of RFC 6962 §2.1.1. @throws RangeError when `index` is not below `size` */
export function inclusionProof(index: number, size: number, read: NodeReader): Hash[] {
  if (!(index >= 0 && index < size)) throw new RangeError('index is outside of the tree');
  const proof: Hash[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    if (index < middle) {
      proof.push(rangeHash(middle, to, read));
      to = middle;
    } else {
      proof.push(rangeHash(from, middle, read));
      from = middle;
    }
  }
  return proof.toReversed();
}

/** PROOF(older, D[size]) of RFC 6962 §2.1.2; empty for `older` = 0 and `older` = `size`. */
export function consistencyProof(older: number, size: number, read: NodeReader): Hash[] {
  if (!(older >= 0 && older <= size)) throw new RangeError('the older tree is larger');
  if (older === 0 || older === size) return [];
  const proof: Hash[] = [];
  let [from, to] = [0, size];
  while (older !== to) {
    const middle = from + split(to - from);
    if (older <= middle) {
      proof.push(rangeHash(middle, to, read));
      to = middle;
    } else {
      proof.push(rangeHash(from, middle, read));
      from = middle;
    }
  }
  if (from > 0) proof.push(rangeHash(from, to, read));
  return proof.toReversed();
}

const half = (n: number): number => Math.floor(n / 2);
const isOdd = (n: number): boolean => n % 2 === 1;

/** RFC 9162 §2.1.3.2: does `proof` show that `leaf` stands at `index` of the tree with this size and root? */
export function verifyInclusion(
  proof: readonly Hash[],
  at: { readonly index: number; readonly size: number },
  leaf: Hash,
  root: Hash,
): boolean {
  if (!(at.index >= 0 && at.index < at.size)) return false;
  let [fn, sn, r] = [at.index, at.size - 1, leaf];
  for (const p of proof) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else r = nodeHash(r, p);
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && r.equals(root);
}

/** A tree as a checkpoint states it. */
export interface TreeHead {
  readonly size: number;
  readonly root: Hash;
}

/** RFC 9162 §2.1.4.2: does `proof` show that `older` is a prefix of `newer`? */
export function verifyConsistency(proof: readonly Hash[], older: TreeHead, newer: TreeHead): boolean {
  if (older.size > newer.size || older.size < 0) return false;
  if (older.size === newer.size) return proof.length === 0 && older.root.equals(newer.root);
  if (older.size === 0) return proof.length === 0 && older.root.equals(emptyRoot);
  let [fn, sn] = [older.size - 1, newer.size - 1];
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)];
  // A perfect older tree is itself the first node, and the proof leaves it out.
  const path = fn === 0 ? [older.root, ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return false;
  let [fr, sr] = [first, first];
  for (const c of path) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      [fr, sr] = [nodeHash(c, fr), nodeHash(c, sr)];
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else sr = nodeHash(sr, c);
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && fr.equals(older.root) && sr.equals(newer.root);
}
