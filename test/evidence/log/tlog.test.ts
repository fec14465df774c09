/** Trees and proofs against the definition of RFC 6962, written out plainly. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  nodeHash,
  rootAt,
  treeHash,
  verifyConsistency,
  verifyInclusion,
  type Hash,
} from '../../../src/evidence/log/tlog.ts';
import { nodesOfTiles, TreeEdge, tilesAt } from '../../../src/evidence/log/tile.ts';

const leaves: Hash[] = Array.from({ length: 700 }, (_, i) => leafHash(Buffer.from(String(i))));

/** MTH as the RFC writes it. */
function definition(of: readonly Hash[]): Hash {
  if (of.length === 0) return emptyRoot;
  if (of.length === 1) return of[0]!;
  let k = 1;
  while (k * 2 < of.length) k *= 2;
  return nodeHash(definition(of.slice(0, k)), definition(of.slice(k)));
}

/** A tree of `size` leaves through the same tiles that are written to disk. */
function build(size: number) {
  const tiles = new Map<string, readonly Hash[]>();
  const edge = new TreeEdge();
  for (const leaf of leaves.slice(0, size))
    edge.append(leaf, (level, n, hashes) => tiles.set(`${level}/${n}`, hashes));
  const read = nodesOfTiles((level, n) =>
    n === tilesAt(level, size).full ? edge.partial(level) : (tiles.get(`${level}/${n}`) ?? []),
  );
  return { edge, read };
}

const size = fc.integer({ min: 0, max: leaves.length });

test('three ways to the same root', () => {
  fc.assert(
    fc.property(size, (n) => {
      const { edge, read } = build(n);
      const root = definition(leaves.slice(0, n));
      assert.deepEqual([edge.root(), treeHash(leaves.slice(0, n)), rootAt(n, read)], [root, root, root]);
    }),
    { numRuns: 60, examples: [[0], [1], [255], [256], [257], [512], [513]] },
  );
});

test('a proof shows the leaf in its place and no other', () => {
  fc.assert(
    fc.property(size, fc.nat(), fc.nat(), (n, a, b) => {
      if (n === 0) return;
      const { read } = build(n);
      const [index, other] = [a % n, b % n];
      const root = definition(leaves.slice(0, n));
      const proof = inclusionProof(index, n, read);
      assert.equal(verifyInclusion(proof, { index, size: n }, leaves[index]!, root), true);
      assert.equal(verifyInclusion(proof, { index: other, size: n }, leaves[index]!, root), other === index);
      assert.equal(verifyInclusion(proof, { index, size: n }, leaves[other]!, root), other === index);
      assert.equal(verifyInclusion([...proof, root], { index, size: n }, leaves[index]!, root), false);
      assert.equal(verifyInclusion(proof, { index, size: n }, leaves[index]!, emptyRoot), false);
      if (proof.length > 0)
        assert.equal(verifyInclusion(proof.slice(1), { index, size: n }, leaves[index]!, root), false);
    }),
    { numRuns: 100 },
  );
});

test('a proof shows an older tree as a prefix and no other', () => {
  fc.assert(
    fc.property(size, fc.nat(), (n, a) => {
      const { read } = build(n);
      const older = a % (n + 1);
      const proof = consistencyProof(older, n, read);
      const [from, to] = [
        { size: older, root: definition(leaves.slice(0, older)) },
        { size: n, root: definition(leaves.slice(0, n)) },
      ];
      assert.equal(verifyConsistency(proof, from, to), true);
      const forged = { size: older, root: leafHash(Buffer.from('forged')) };
      assert.equal(verifyConsistency(proof, forged, to), false);
      // The empty tree is a prefix of every tree: nothing ties it to this one.
      assert.equal(verifyConsistency(proof, from, { size: n, root: forged.root }), older === 0 && n > 0);
      assert.equal(verifyConsistency([...proof, forged.root], from, to), false);
      if (older < n) assert.equal(verifyConsistency(proof, to, from), false);
      if (proof.length > 0) assert.equal(verifyConsistency(proof.slice(1), from, to), false);
    }),
    {
      numRuns: 100,
      examples: [
        [8, 4],
        [7, 3],
        [256, 255],
        [257, 256],
      ],
    },
  );
});
