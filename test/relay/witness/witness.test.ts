/** A witness and a log that it witnesses, over HTTP: what it answers by the specification, and that it never takes back. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { freePort } from '../../../src/cli/demo/cluster.ts';
import { parseCheckpoint, signCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import { Cosigner, NoteSigner, NoteVerifier, parseNote } from '../../../src/evidence/log/note.ts';
import { TreeEdge } from '../../../src/evidence/log/tile.ts';
import { consistencyProof, leafHash, nodeHash, treeHash } from '../../../src/evidence/log/tlog.ts';
import { readCosigned } from '../../../src/evidence/log/witnessed.ts';
import type { Log } from '../../../src/evidence/log/log.ts';
import { createLogger } from '../../../src/relay/logging.ts';
import { formatAddCheckpoint } from '../../../src/relay/witness/add-checkpoint.ts';
import { loadWitnessConfig } from '../../../src/relay/witness/config.ts';
import { startWitness, type RunningWitness } from '../../../src/relay/witness/server.ts';
import { originHash } from '../../../src/relay/witness/store.ts';
import { openWitnesses, type Witnesses } from '../../../src/relay/witness/witnesses.ts';
import { durableFiles, type DurableFiles } from '../../../src/system/durable-file.ts';
import { Running } from '../../support/relay.ts';
import { eventually } from '../../support/eventually.ts';
import { EvidenceFixture } from '../../evidence/verify/fixture.ts';

const origin = 'relay.example/log';
const logger = createLogger('error', { write: () => undefined });

const root = mkdtempSync(path.join(tmpdir(), 'hoop-witness-'));
after(() => rmSync(root, { recursive: true, force: true }));

async function configFile(vkey: string, name = 'w1'): Promise<string> {
  const file = path.join(mkdtempSync(path.join(root, 'witness-')), 'witness.yaml');
  const port = await freePort();
  writeFileSync(
    file,
    `name: witness.example/${name}\ndataDir: data\nlisten: { port: ${port} }\nlogs: [{ origin: ${origin}, vkeys: ["${vkey}"] }]\n`,
    { mode: 0o600 },
  );
  return file;
}

const start = async (file: string, files?: DurableFiles): Promise<RunningWitness> =>
  startWitness(loadWitnessConfig(file), { logger, ...(files && { files }) });

/** Leaves `0`, `1`, …; `other` has another one at index 2. */
function treeOf(size: number, other = false) {
  const leaves = Array.from({ length: size }, (_, i) =>
    leafHash(Buffer.from(other && i === 2 ? 'x' : `${i}`)),
  );
  const nodes = (level: number, index: number): Buffer =>
    level === 0 ? leaves[index]! : nodeHash(nodes(level - 1, 2 * index), nodes(level - 1, 2 * index + 1));
  const root_ = treeHash(leaves);
  return { size, root: root_, proofFrom: (old: number) => consistencyProof(old, size, nodes) };
}

test('every answer of the specification, and no fork or rollback is cosigned', async () => {
  const signer = NoteSigner.generate(origin);
  const witness = await start(await configFile(signer.verifier.toString()));
  const verifier = NoteVerifier.parse(witness.vkey);
  const send = async (text: Buffer | string) => {
    const body = typeof text === 'string' ? text : new Uint8Array(text);
    const answer = await fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body });
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
  };
  const checkpointOf = (size: number, { other = false, by = signer, name = origin } = {}) =>
    Buffer.from(signCheckpoint({ origin: name, ...treeOf(size, other) }, by));
  const add = (old: number, size: number, { other = false, by = signer, name = origin } = {}) =>
    send(
      formatAddCheckpoint({
        old,
        proof: old <= size ? treeOf(size, other).proofFrom(old) : [],
        checkpoint: checkpointOf(size, { other, by, name }),
      }),
    );
  try {
    for (const body of ['', 'old 1\n', 'old 01\n\nx', 'old 0\n!!!\n\nx', `old 0\n\n${origin}\n1\nAA\n\nx`])
      assert.equal((await send(body)).status, 400, body);
    const elsewhere = NoteSigner.generate('other.example/log');
    assert.equal((await add(0, 3, { by: elsewhere, name: 'other.example/log' })).status, 404);
    assert.equal((await add(0, 3, { by: NoteSigner.generate(origin) })).status, 403);
    const tampered = checkpointOf(3).toString().replace('\n3\n', '\n4\n');
    assert.equal((await send(`old 0\n\n${tampered}`)).status, 403);
    assert.equal((await add(5, 3)).status, 400);
    assert.equal((await fetch(`${witness.url}/${originHash(origin)}/checkpoint`)).status, 404);

    const first = await add(0, 3);
    assert.equal(first.status, 200);
    const note = Buffer.from(checkpointOf(3).toString() + first.text);
    assert.equal(readCosigned(note, verifier)?.checkpoint.size, 3);
    const conflict = await add(0, 7);
    assert.deepEqual(conflict, { status: 409, type: 'text/x.tlog.size', text: '3\n' });
    assert.equal((await add(3, 7, { other: true })).status, 422, 'a fork');
    assert.equal((await add(3, 3, { other: true })).status, 422, 'another tree of the same size');
    assert.equal(
      (await send(formatAddCheckpoint({ old: 3, proof: [], checkpoint: checkpointOf(7) }))).status,
      422,
    );
    assert.equal((await add(3, 3)).status, 200, 'the same again');
    assert.equal((await add(3, 7)).status, 200);
    assert.equal((await add(3, 5)).status, 409, 'a rollback');
    assert.equal((await send(Buffer.alloc(200_000))).status, 413);

    const together = await Promise.all([add(7, 9), add(7, 12), add(7, 11, { other: false })]);
    assert.deepEqual(together.map(({ status }) => status).toSorted(), [200, 409, 409], 'one of them wins');
    const last = await fetch(`${witness.url}/${originHash(origin)}/checkpoint`);
    const held = readCosigned(Buffer.from(await last.text()), verifier);
    assert.ok([9, 11, 12].includes(held!.checkpoint.size));
  } finally {
    await witness.close();
  }
});

test('the size is on disk before the cosignature leaves; a directory that was tampered with stops it', async () => {
  const signer = NoteSigner.generate(origin);
  const file = await configFile(signer.verifier.toString());
  const steps: string[] = [];
  const failing = { now: false };
  const files: DurableFiles = {
    ...durableFiles,
    rename: async (from, to) => {
      if (failing.now) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      await durableFiles.rename(from, to);
      steps.push('renamed');
    },
    syncDirectory: async (name) => {
      await durableFiles.syncDirectory(name);
      steps.push('synced');
    },
  };
  const witness = await start(file, files);
  const add = async (url: string, old: number, size: number) => {
    const tree = treeOf(size);
    const body = new Uint8Array(
      formatAddCheckpoint({
        old,
        proof: tree.proofFrom(old),
        checkpoint: Buffer.from(signCheckpoint({ origin, ...tree }, signer)),
      }),
    );
    return (await fetch(`${url}/add-checkpoint`, { method: 'POST', body })).status;
  };
  failing.now = true;
  assert.equal(await add(witness.url, 0, 2), 500);
  failing.now = false;
  assert.equal(await add(witness.url, 0, 2), 200);
  assert.deepEqual(steps, ['renamed', 'synced']);
  await assert.rejects(start(file), { code: 'witness-locked' });
  await witness.close();
  writeFileSync(path.join(path.dirname(file), 'data', originHash(origin)), 'x');
  await assert.rejects(start(file), { code: 'witness-state-damaged' });
});

test(
  'the real program: killed after each answer, it never forgets what it cosigned',
  { timeout: 60_000 },
  async () => {
    const signer = NoteSigner.generate(origin);
    const file = await configFile(signer.verifier.toString());
    let old = 0;
    for (const size of [3, 8, 21]) {
      const running = Running.hoop(['relay', 'witness', '--config', file], {
        PATH: process.env['PATH'],
        HOME: root,
      });
      const [, url] = await running.says(/Witness ready at (\S+)/);
      const post = async (tree: ReturnType<typeof treeOf>, from: number) => {
        const checkpoint = Buffer.from(signCheckpoint({ origin, ...tree }, signer));
        const body = new Uint8Array(
          formatAddCheckpoint({ old: from, proof: tree.proofFrom(from), checkpoint }),
        );
        const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body });
        return { status: answer.status, text: await answer.text() };
      };
      if (old > 0) {
        assert.deepEqual(await post(treeOf(size), 0), { status: 409, text: `${old}\n` });
        assert.equal((await post(treeOf(size, true), old)).status, 422);
      }
      assert.equal((await post(treeOf(size), old)).status, 200);
      await running.stop('SIGKILL');
      old = size;
    }
  },
);

test(
  'a log and two witnesses: cosigned in the background, verified offline, late when one is away',
  { timeout: 60_000 },
  async () => {
    await using fixture = await EvidenceFixture.create();
    const file = await configFile(fixture.vkey);
    const [one, absent] = [await start(file), await freePort()];
    const second = NoteVerifier.parse(
      (await start(await configFile(fixture.vkey, 'w2')).then(async (w) => (await w.close(), w))).vkey,
    );
    const configured = [
      { name: 'one', url: one.url, verifier: NoteVerifier.parse(one.vkey) },
      { name: 'two', url: `http://127.0.0.1:${absent}`, verifier: second },
    ];
    const log: Log = fixture.log;
    const witnesses: Witnesses = openWitnesses(
      {
        log: {
          origin,
          key: { kind: 'file', file: '' },
          nextKey: null,
          witnesses: configured,
          quorum: 1,
        },
        evidence: { directory: fixture.directory } as never,
      },
      { log, logger, retryMs: 20 },
    )!;
    try {
      await fixture.history(300);
      await log.checkpoint();
      witnesses.wake();
      await eventually('cosigned', () => witnesses.witnessedSize() === log.size);
      await eventually('merged into the checkpoint', async () => {
        const note = parseNote(await readFile(fixture.path('log/checkpoint')));
        return note.signatures.length === 2 && parseCheckpoint(note.text).size === log.size;
      });
      await eventually('the other one was asked', () => witnesses.views()[1]!.failures > 0);
      const views = witnesses.views();
      assert.equal(views[0]!.failures, 0);
      assert.ok(views[1]!.failures > 0 && views[1]!.lagSeconds > 0);
      const vkeys = [one.vkey, second.toString()];
      const held = await fixture.verify({ witnesses: { vkeys, threshold: 1 } });
      assert.deepEqual(held.findings, []);
      assert.equal(held.witnessed?.size, log.size);
      const both = await fixture.verify({ witnesses: { vkeys, threshold: 2 } });
      assert.deepEqual(
        both.findings.map(({ code }) => code),
        ['checkpoint-unwitnessed'],
      );
      witnesses.close();
      await one.close();

      await fixture.history();
      await log.close();
      const later = await fixture.verify({ witnesses: { vkeys, threshold: 1 } });
      assert.deepEqual(
        later.findings.map(({ code }) => code),
        ['entries-unwitnessed'],
      );
      assert.equal(later.verified, true);
      const policy = Buffer.from(
        `log ${fixture.vkey}\nwitness A ${vkeys[0]}\nwitness B ${vkeys[1]}\ngroup G any A B\nquorum G\n`,
      );
      assert.equal((await fixture.verify({ policy })).verified, true);
    } finally {
      witnesses.close();
    }
  },
);

test(
  'a witness that answers with a hundred valid lines adds one to the checkpoint',
  { timeout: 60_000 },
  async () => {
    await using fixture = await EvidenceFixture.create();
    const cosigner = Cosigner.generate('witness.example/hostile');
    const hostile = http.createServer((request, response) => {
      void buffer(request).then((body) => {
        const { text } = parseNote(body.subarray(body.indexOf('\n\n') + 2));
        const lines = Array.from({ length: 100 }, (_, i) => cosigner.cosign(text, 1_700_000_000 + i));
        response.end(lines.join(''));
      });
    });
    const port = await freePort();
    await once(hostile.listen(port, '127.0.0.1'), 'listening');
    const witness = { name: 'hostile', url: `http://127.0.0.1:${port}`, verifier: cosigner.verifier };
    const witnesses = openWitnesses(
      {
        log: { origin, key: { kind: 'file', file: '' }, nextKey: null, witnesses: [witness], quorum: 1 },
        evidence: { directory: fixture.directory } as never,
      },
      { log: fixture.log, logger, retryMs: 20 },
    )!;
    try {
      await eventually('cosigned', () => witnesses.witnessedSize() > 0 || witnesses.views()[0]!.failures > 0);
      await fixture.history();
      await fixture.log.checkpoint();
      witnesses.wake();
      await eventually('cosigned again', () => witnesses.witnessedSize() === fixture.log.size);
      await eventually(
        'merged',
        () => parseNote(Buffer.from(fixture.log.checkpointOnDisk.note)).signatures.length === 2,
      );
      await fixture.log.close();
      await fixture.reopen();
    } finally {
      witnesses.close();
      hostile.close();
    }
  },
);

test('an edge of a tree that only grows gives the root that the test computes', () => {
  const edge = new TreeEdge();
  for (let i = 0; i < 21; i++) edge.append(leafHash(Buffer.from(`${i}`)), () => undefined);
  assert.ok(edge.root().equals(treeOf(21).root));
});
