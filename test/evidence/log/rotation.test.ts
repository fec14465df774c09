/** The log's key is handed over: who knows the old key or the new one verifies all of it, and nobody else's key counts. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { relayActor, type NewEntry } from '../../../src/evidence/entry.ts';
import { openCheckpoint, signCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import {
  followHandovers,
  handoverPath,
  openHandover,
  signPossession,
} from '../../../src/evidence/log/handover.ts';
import { createSigner } from '../../../src/evidence/log/key-file.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { EvidenceFixture } from '../verify/fixture.ts';

const origin = 'relay.example/log';

/** A closed log of two hand-overs, and its three keys. */
async function rotated() {
  const fixture = await EvidenceFixture.create();
  const keys = [fixture.signer, NoteSigner.generate(origin), NoteSigner.generate(origin)];
  await fixture.history(300);
  await fixture.log.rotate(keys[1]!);
  await fixture.history();
  await fixture.log.rotate(keys[2]!);
  await fixture.start();
  await fixture.log.close();
  return { fixture, keys, vkeys: keys.map(({ verifier }) => verifier.toString()) };
}

test('given the first key, the one between or the last, the whole log verifies, and says how the key went', async () => {
  const { fixture, vkeys } = await rotated();
  await using _ = fixture;
  for (const vkey of vkeys) {
    const report = await fixture.verify({ vkey });
    assert.deepEqual(report.findings, [], vkey);
    assert.deepEqual(
      report.keys.map((key) => key.vkey),
      vkeys,
    );
    assert.ok(report.keys[1]!.since! > 300);
  }
  const stranger = NoteSigner.generate(origin).verifier.toString();
  const codes = (await fixture.verify({ vkey: stranger })).findings.map(({ code }) => code);
  assert.ok(codes.includes('checkpoint-unverified'), codes.join());
});

test('a checkpoint seen under the old key is still one to compare with', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.history();
  await fixture.log.checkpoint();
  const since = await readFile(fixture.path('log/checkpoint'));
  const next = NoteSigner.generate(origin);
  await fixture.log.rotate(next);
  await fixture.start();
  await fixture.log.close();
  for (const vkey of [fixture.vkey, next.verifier.toString()])
    assert.deepEqual((await fixture.verify({ since, vkey })).findings, []);
  const other = Buffer.from(signCheckpoint({ origin, size: 2, root: Buffer.alloc(32) }, fixture.signer));
  const report = await fixture.verify({ since: other });
  assert.deepEqual(
    report.findings.map(({ code }) => code),
    ['log-forked'],
  );
  await assert.rejects(
    fixture.verify({
      since: Buffer.from(
        signCheckpoint({ origin, size: 2, root: Buffer.alloc(32) }, NoteSigner.generate(origin)),
      ),
    }),
    { code: 'note-unverified' },
  );
});

test('keys that may not be next are refused, and the log goes on', async () => {
  await using fixture = await EvidenceFixture.create();
  const refused = { code: 'rotation-refused' };
  await assert.rejects(fixture.log.rotate(fixture.signer), refused);
  await assert.rejects(fixture.log.rotate(NoteSigner.generate('other.example/log')), refused);
  const next = NoteSigner.generate(origin);
  await fixture.log.rotate(next);
  await assert.rejects(fixture.log.rotate(fixture.signer), refused, 'a key never comes back');
  const away = {
    verifier: NoteSigner.generate(origin).verifier,
    sign: () => Promise.reject(new Error('away')),
  };
  await assert.rejects(fixture.log.rotate(away), { code: 'log-signing-failed' });
  await fixture.start();
  await fixture.log.close();
  assert.deepEqual((await fixture.verify()).findings, []);
});

test('the old key alone opens no log that it handed over', async () => {
  await using fixture = await EvidenceFixture.create();
  const next = NoteSigner.generate(origin);
  await fixture.log.rotate(next);
  await fixture.start();
  await fixture.log.close();
  await assert.rejects(fixture.reopen(), { code: 'log-damaged' });
});

/** Leaves the log as an attacker has it who holds the old key and changes files. */
async function attacked(
  change: (at: {
    fixture: EvidenceFixture;
    keys: NoteSigner[];
    file: (vkey: string) => string;
  }) => Promise<void>,
): Promise<string[]> {
  const { fixture, keys } = await rotated();
  await using _ = fixture;
  await change({ fixture, keys, file: (vkey) => fixture.path('log', handoverPath(vkey)) });
  const { findings } = await fixture.verify();
  return findings.map(({ code }) => code);
}

test('the old key signs on after the hand-over', async () => {
  const codes = await attacked(async ({ fixture, keys }) => {
    const signed = await readFile(fixture.path('log/checkpoint'));
    const { checkpoint } = openCheckpoint(signed, keys[2]!.verifier);
    await writeFile(fixture.path('log/checkpoint'), signCheckpoint(checkpoint, keys[0]!));
  });
  assert.deepEqual(codes, ['checkpoint-superseded']);
});

test('a hand-over whose covering checkpoint is gone, or is another key’s', async () => {
  const gone = await attacked(({ keys, file }) => rm(file(keys[0]!.verifier.toString())));
  assert.ok(gone.includes('handover-uncovered'), gone.join());
  const foreign = await attacked(async ({ keys, file }) => {
    const name = file(keys[0]!.verifier.toString());
    const text = await readFile(name, 'utf8');
    const at = text.indexOf('\n\n') + 2;
    const { checkpoint } = openCheckpoint(Buffer.from(text.slice(at)), keys[0]!.verifier);
    await writeFile(name, text.slice(0, at) + signCheckpoint(checkpoint, keys[1]!));
  });
  assert.ok(foreign.includes('handover-invalid'), foreign.join());
});

test('two hand-overs from one key: the second leads nowhere', async () => {
  const codes = await attacked(async ({ fixture, keys, file }) => {
    // A fork: the same history, handed over by its old key to another new one.
    const fork = await EvidenceFixture.create();
    await fork.log.close();
    const directory = fork.path('fork');
    await mkdir(directory);
    const signer = fixture.signer;
    const log = await Log.open({ directory: path.join(directory, 'log'), signer, clock: systemClock });
    await log.rotate(NoteSigner.generate(origin));
    await log.close();
    const vkey = keys[0]!.verifier.toString();
    await copyFile(path.join(directory, 'log', handoverPath(vkey)), file(vkey));
    await fork[Symbol.asyncDispose]();
  });
  assert.ok(codes.includes('checkpoint-unverified') && codes.includes('handover-invalid'), codes.join());
});

test('a hand-over is proven by the old key, the place, the tree and the new key: without one of them by nothing', async () => {
  const { fixture, keys } = await rotated();
  await using _ = fixture;
  const bytes = await readFile(fixture.path('log', handoverPath(keys[0]!.verifier.toString())));
  const text = bytes.toString();
  const from = keys[0]!.verifier;
  const proven = openHandover(bytes, from);
  assert.equal(proven.to.toString(), keys[1]!.verifier.toString());
  const { leaf, index } = proven;
  const changed = (entry: object) =>
    text.replace(
      /^extra .*$/m,
      `extra ${Buffer.from(JSON.stringify({ ...JSON.parse(leaf.toString()), ...entry })).toString('base64')}`,
    );
  const mallory = NoteSigner.generate(origin);
  const cases: [string, string][] = [
    ['another index', text.replace(`index ${index}`, `index ${index - 1}`)],
    ['no proof', text.replace(/^(index \d+\n)[^]*?\n\n/m, '$1\n')],
    ['another new key', changed({ to: mallory.verifier.toString() })],
    [
      'with possession',
      changed({ to: mallory.verifier.toString(), possession: await signPossession(from, mallory) }),
    ],
    ['not the form', text.replace('c2sp.org', 'example.org')],
    ['cut', text.slice(0, text.length >> 1)],
    ['empty', ''],
  ];
  for (const [name, forged] of cases)
    assert.throws(() => openHandover(Buffer.from(forged), from), { name: 'EvidenceError' }, name);
  assert.throws(() => openHandover(bytes, keys[1]!.verifier), { code: 'handover-invalid' });
});

test(
  'killed all through a hand-over, at every second step: the next start finishes it, and both keys verify',
  { timeout: 300_000 },
  async () => {
    await using place = await EvidenceFixture.create();
    await place.log.close();
    const child = path.join(import.meta.dirname, 'rotating-child.ts');
    const [oldKey, newKey] = [place.path('old'), place.path('new')];
    const [signer, next] = [await createSigner(oldKey, origin), await createSigner(newKey, origin)];
    const marker: NewEntry = {
      kind: 'relay.started',
      actor: relayActor,
      version: '1',
      configDigest: '0'.repeat(64),
    };
    let kills = 0;
    let began = 0;
    for (let diesAt = 4; ; diesAt += 2) {
      const evidence = place.path(`run-${diesAt}`);
      await mkdir(evidence);
      const directory = path.join(evidence, 'log');
      const first = await Log.open({ directory, signer, clock: systemClock });
      await first.append(marker);
      await first.close();
      const run = spawn(process.execPath, [child, directory, oldKey, newKey, String(diesAt)], {
        stdio: 'inherit',
      });
      const [, signal] = (await once(run, 'exit')) as [number | null, string | null];
      const log = await Log.open({ directory, signer, successors: [next], clock: systemClock });
      if (log.signer === next) began += 1;
      await log.append(marker);
      await log.close();
      for (const key of log.signer === next ? [signer, next] : [signer]) {
        const vkey = key.verifier.toString();
        const report = await place.verify({ directory: evidence, vkey });
        assert.deepEqual(report.findings, [], `step ${diesAt}`);
      }
      if (signal === null) break;
      kills += 1;
    }
    assert.ok(kills > 12 && began > 3, `${kills} kills, ${began} finished later`);
  },
);

test('a chain of hand-overs is followed from its files alone', async () => {
  const { fixture, keys, vkeys } = await rotated();
  await using _ = fixture;
  const read = (name: string) => readFile(fixture.path('log', name)).catch(() => null);
  const reached: string[] = [];
  for await (const { to } of followHandovers(keys[0]!.verifier, read)) reached.push(to.toString());
  assert.deepEqual(reached, vkeys.slice(1));
  assert.equal((await readdir(fixture.path('log/handover'))).length, 2);
});
