/** The vectors that Go's x/mod/sumdb and a real witness accepted; see test/vectors/log.json. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openCheckpoint, parseCheckpoint, signCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import { NoteSigner, NoteVerifier } from '../../../src/evidence/log/note.ts';
import { readCosigned } from '../../../src/evidence/log/witnessed.ts';
import { parseTilePath, tilePath, tilesAt, TreeEdge } from '../../../src/evidence/log/tile.ts';
import {
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
} from '../../../src/evidence/log/journal.ts';
import { decodeEntry, encodeEntry } from '../../../src/evidence/entry.ts';
import { emptyRoot, leafHash, treeHash } from '../../../src/evidence/log/tlog.ts';

interface Vectors {
  emptyRoot: string;
  leafOfEmpty: string;
  rootOfAbc: string;
  seed: string;
  vkey: string;
  checkpoint: string;
  witnessVkey: string;
  cosignatureSeconds: number;
  cosignature: string;
  paths: Record<string, string>;
  tiles: { size: number; full: number; partial: number }[];
}
const vectors = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../../vectors/log.json'), 'utf8'),
) as Vectors;

const leaves = ['a', 'b', 'c'].map((text) => leafHash(Buffer.from(text)));
const seed = Buffer.from(vectors.seed, 'hex');
const skey = `PRIVATE+KEY+${vectors.vkey.split('+').slice(0, 2).join('+')}+${Buffer.concat([Buffer.of(1), seed]).toString('base64')}`;

test('hashes of RFC 6962', () => {
  assert.equal(emptyRoot.toString('base64'), vectors.emptyRoot);
  assert.equal(leafHash(Buffer.alloc(0)).toString('hex'), vectors.leafOfEmpty);
  assert.equal(treeHash(leaves).toString('hex'), vectors.rootOfAbc);
  const edge = new TreeEdge();
  assert.equal(edge.root().toString('base64'), vectors.emptyRoot);
  for (const leaf of leaves) edge.append(leaf, () => assert.fail('no tile is full'));
  assert.equal(edge.root().toString('hex'), vectors.rootOfAbc);
});

test('paths and numbers of tiles', () => {
  for (const [n, expected] of Object.entries(vectors.paths)) {
    assert.equal(tilePath(0, Number(n)), `tile/0/${expected}`);
    assert.deepEqual(parseTilePath(`tile/0/${expected}`), { level: 0, n: Number(n), width: 256 });
  }
  assert.equal(tilePath('entries', 1234067, 7), 'tile/entries/x001/x234/067.p/7');
  for (const [level, { size, full, partial }] of vectors.tiles.entries())
    assert.deepEqual(tilesAt(level, size), { full, partial });
  for (const wrong of [
    'tile/0/1',
    'tile/0/x000/000',
    'tile/0/000.p/256',
    'tile/0/000.p/0',
    'tile/64/000',
    'tile/../000',
  ])
    assert.equal(parseTilePath(wrong), null, wrong);
});

test('a key and a checkpoint, both ways', () => {
  const signer = NoteSigner.parse(skey);
  assert.equal(signer.verifier.toString(), vectors.vkey);
  assert.equal(signer.exportSecret(), skey);
  const signed = signCheckpoint({ origin: signer.name, size: 3, root: treeHash(leaves) }, signer);
  assert.equal(signed, vectors.checkpoint);
  const { checkpoint } = openCheckpoint(Buffer.from(signed), NoteVerifier.parse(vectors.vkey));
  assert.deepEqual(checkpoint, { origin: signer.name, size: 3, root: treeHash(leaves) });
});

test('a witness’s cosignature beside the log’s own signature', () => {
  const bytes = Buffer.from(vectors.checkpoint + vectors.cosignature);
  const witness = NoteVerifier.parse(vectors.witnessVkey);
  assert.equal(witness.toString(), vectors.witnessVkey);
  const { note } = openCheckpoint(bytes, NoteVerifier.parse(vectors.vkey));
  assert.equal(note.signatures.length, 2);
  const cosigned = readCosigned(bytes, witness);
  assert.equal(cosigned?.seconds, vectors.cosignatureSeconds);
  assert.equal(cosigned.checkpoint.size, 3);
  const altered = Buffer.from(vectors.checkpoint.replace('\n3\n', '\n4\n') + vectors.cosignature);
  assert.equal(readCosigned(altered, witness), null);
});

test('what is not exactly a signed checkpoint is refused', () => {
  const verifier = NoteVerifier.parse(vectors.vkey);
  const good = vectors.checkpoint;
  const code = (text: string) => {
    try {
      openCheckpoint(Buffer.from(text), verifier);
      return 'accepted';
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error;
    }
  };
  assert.equal(code(good), 'accepted');
  assert.equal(code(good.replace('\n3\n', '\n4\n')), 'note-unverified');
  assert.equal(code(good.replace('pXZKzY', 'pXZKzZ')), 'note-unverified');
  assert.equal(code(good.replace('— relay', '— other')), 'note-unverified');
  assert.equal(code(good.slice(0, -1)), 'note-malformed');
  assert.equal(code(good.replace('\n\n', '\n')), 'note-malformed');
  assert.equal(code(good.replace('3\n', '3\r\n')), 'note-malformed');
  assert.equal(code(good.replace('gc=', 'gc')), 'note-malformed');
  for (const text of [
    'a\n03\n' + vectors.emptyRoot + '\n',
    'a\n-1\n' + vectors.emptyRoot + '\n',
    'a\n1\nAA==\n',
    'a\n1\n',
  ])
    assert.throws(() => parseCheckpoint(text), { code: 'note-malformed' });
  for (const key of ['', 'a+b', vectors.vkey.replace('a5764acd', 'a5764ace'), `${vectors.vkey}A`])
    assert.throws(() => NoteVerifier.parse(key), { code: 'note-malformed' });
});

test('the worked example of FORMAT.md', () => {
  const format = readFileSync(path.join(import.meta.dirname, '../../../src/evidence/log/FORMAT.md'), 'utf8');
  const blocks = [...format.matchAll(/```(?:json)?\n([^`]*)\n```/g)].map((match) => match[1]!);
  const [text = '', leaf, , journal = ''] = blocks;
  assert.equal(blocks.length, 4);
  const decoded = decodeEntry(Buffer.from(text));
  assert.ok(decoded.state === 'known');
  const entry = encodeEntry(decoded.entry);
  assert.equal(entry.toString(), text);
  assert.equal(leafHash(entry).toString('hex'), leaf);
  const bytes = Buffer.from(journal.replaceAll('\n', ''), 'hex');
  assert.deepEqual(Buffer.concat([encodeJournalHeader(0), encodeJournalRecord(0, 0, entry)]), bytes);
  assert.deepEqual(decodeJournal(bytes)?.entries, [entry]);
});
