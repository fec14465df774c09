/** What verification must find, each on a real directory; and that it finds nothing in an untouched one. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { relayActor } from '../../../src/evidence/entry.ts';
import { signCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import { Cosigner, NoteSigner } from '../../../src/evidence/log/note.ts';
import { frameEntry, splitBundle, TreeEdge } from '../../../src/evidence/log/tile.ts';
import { leafHash } from '../../../src/evidence/log/tlog.ts';
import { EvidenceFixture } from './fixture.ts';

/** A closed log of 17 entries: started, 2 logins, 3 sessions opened, 6 segments, killed, 3 closed, … */
async function closedFixture(filler = 0) {
  const fixture = await EvidenceFixture.create();
  const sessions = await fixture.history(filler);
  await fixture.log.close();
  return { fixture, sessions };
}

/** The attacker rewrites bundle and tile of a small log, and signs with the key that he has. */
async function rewrite(
  fixture: EvidenceFixture,
  change: (entries: Buffer[]) => Buffer[],
  signer: NoteSigner | null,
): Promise<void> {
  const { size } = fixture.log;
  const bundle = fixture.path(`log/tile/entries/000.p/${size}`);
  const entries = change(splitBundle(await readFile(bundle), size));
  const edge = new TreeEdge();
  for (const entry of entries) edge.append(leafHash(entry), () => undefined);
  await writeFile(
    fixture.path(`log/tile/entries/000.p/${entries.length}`),
    Buffer.concat(entries.map(frameEntry)),
  );
  await writeFile(fixture.path(`log/tile/0/000.p/${entries.length}`), Buffer.concat([...edge.partial(0)]));
  await rm(fixture.path('log/journal'));
  if (signer === null) return;
  const head = { origin: signer.name, size: entries.length, root: edge.root() };
  await writeFile(fixture.path('log/checkpoint'), signCheckpoint(head, signer));
}

test('an untouched directory has no finding, and the counts are right', async () => {
  const { fixture } = await closedFixture(600);
  await using _ = fixture;
  const report = await fixture.verify();
  assert.deepEqual(report.findings, []);
  assert.equal(report.verified, true);
  assert.equal(report.checkpoint?.size, fixture.log.size);
  const entries = fixture.log.size;
  assert.deepEqual(report.counts, {
    entries,
    sessions: 3,
    unfinishedSessions: 0,
    segments: 6,
    erased: { segments: 0, originals: 0 },
    resealed: 0,
    signatures: 604,
  });
});

test('untouched random histories have no failure, across restarts', async () => {
  const steps = fc.array(
    fc.constantFrom('sign in', 'open', 'segment', 'end', 'kill', 'read', 'restart', 'publish'),
    {
      maxLength: 60,
    },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      await using fixture = await EvidenceFixture.create();
      const logins = [await fixture.signIn('ana')];
      const open: Awaited<ReturnType<EvidenceFixture['open']>>[] = [];
      for (const step of history) {
        const session = open[0];
        if (step === 'sign in') logins.push(await fixture.signIn('ben'));
        else if (step === 'open') open.unshift(await fixture.open(logins.at(-1)!));
        else if (step === 'read') await fixture.read(logins[0]!);
        else if (step === 'publish') await fixture.log.checkpoint();
        else if (step === 'restart') {
          await fixture.log.close();
          await fixture.reopen();
          for (const found of open.splice(0)) await fixture.end(found, { outcome: 'interrupted' });
          await fixture.start();
        } else if (session === undefined) continue;
        else if (step === 'segment') await fixture.segment(session);
        else if (step === 'kill') await fixture.kill(session, logins[0]!);
        else {
          open.shift();
          await fixture.end(session);
        }
      }
      await fixture.log.close();
      const codes = (await fixture.verify()).findings.map(({ code }) => code);
      assert.deepEqual(
        codes,
        open.map(() => 'session-unfinished'),
      );
    }),
    { numRuns: 25 },
  );
});

test('a live log verifies at any moment while it is written', async () => {
  await using fixture = await EvidenceFixture.create();
  const ana = await fixture.signIn('ana');
  const writing = (async () => {
    for (let i = 0; i < 60; i++) {
      const session = await fixture.open(ana);
      await Promise.all(Array.from({ length: 20 }, () => fixture.read(ana)));
      await fixture.segment(session);
      await fixture.end(session);
    }
  })();
  const done = writing.then(() => true);
  do {
    const { findings } = await fixture.verify();
    const failures = findings.filter(({ severity }) => severity === 'failure');
    assert.deepEqual(failures, []);
  } while (!(await Promise.race([done, false])));
  await writing;
});

const cases: {
  name: string;
  attack: (
    fixture: EvidenceFixture,
    sessions: Awaited<ReturnType<EvidenceFixture['history']>>,
  ) => Promise<void>;
  /** Every one of these, and no other. */
  finds: string[];
}[] = [
  {
    name: 'a changed entry',
    attack: async (fixture) => {
      const file = fixture.path(`log/tile/entries/000.p/${fixture.log.size}`);
      const text = (await readFile(file, 'latin1')).replace('ana@example.com', 'eve@example.com');
      await writeFile(file, text, 'latin1');
      await rm(fixture.path('log/journal'));
    },
    finds: ['entry-mismatch@1', 'root-mismatch'],
  },
  {
    name: 'a changed entry with its tile rewritten',
    attack: (fixture) =>
      rewrite(
        fixture,
        (entries) =>
          entries.map((e) => Buffer.from(e.toString().replace('ana@example.com', 'eve@example.com'))),
        null,
      ),
    finds: ['root-mismatch'],
  },
  {
    name: 'a removed entry, the checkpoint left',
    attack: async (fixture) => {
      const { size } = fixture.log;
      await rewrite(fixture, (entries) => entries.toSpliced(3, 1), null);
      for (const kind of ['entries', '0'])
        await rename(
          fixture.path(`log/tile/${kind}/000.p/${size - 1}`),
          fixture.path(`log/tile/${kind}/000.p/${size}`),
        );
    },
    finds: ['tile-mismatch', 'entries-malformed@0', 'root-mismatch'],
  },
  {
    name: 'two entries in the other order',
    attack: (fixture) =>
      rewrite(fixture, (entries) => [...entries.slice(0, -2), entries.at(-1)!, entries.at(-2)!], null),
    finds: ['time-decreased@15', 'root-mismatch'],
  },
  {
    name: 'a bundle that was cut',
    attack: async (fixture) => {
      const file = fixture.path(`log/tile/entries/000.p/${fixture.log.size}`);
      await truncate(file, (await readFile(file)).length - 1);
      await rm(fixture.path('log/journal'));
    },
    finds: ['entries-malformed@0'],
  },
  {
    name: 'an added entry',
    attack: async (fixture) => {
      const file = fixture.path(`log/tile/entries/000.p/${fixture.log.size}`);
      await writeFile(file, frameEntry(Buffer.from('{}')), { flag: 'a' });
    },
    finds: ['entries-malformed@0'],
  },
  {
    name: 'a removed bundle',
    attack: (fixture) => rm(fixture.path(`log/tile/entries/000.p/${fixture.log.size}`)),
    finds: ['entries-missing@0'],
  },
  {
    name: 'a changed tile',
    attack: async (fixture) => {
      const file = fixture.path(`log/tile/0/000.p/${fixture.log.size}`);
      const bytes = await readFile(file);
      bytes[32 * 4]! ^= 1;
      await writeFile(file, bytes);
    },
    finds: ['entry-mismatch@4'],
  },
  {
    name: 'a removed tile',
    attack: (fixture) => rm(fixture.path(`log/tile/0/000.p/${fixture.log.size}`)),
    finds: ['tile-missing'],
  },
  {
    name: 'a removed session, signed by a stranger of the same name',
    attack: (fixture, [, removed]) =>
      rewrite(
        fixture,
        (entries) => entries.filter((e) => !e.toString().includes(removed!.session)),
        NoteSigner.generate('relay.example/log'),
      ),
    finds: ['checkpoint-unverified', 'recording-unlogged'],
  },
  {
    name: 'a removed session, signed with the stolen key: only its recording betrays it',
    attack: (fixture, [, removed]) =>
      rewrite(
        fixture,
        (entries) => entries.filter((e) => !e.toString().includes(removed!.session)),
        fixture.signer,
      ),
    finds: ['recording-unlogged'],
  },
  {
    name: 'a checkpoint with another root under the old signature',
    attack: async (fixture) => {
      const file = fixture.path('log/checkpoint');
      const lines = (await readFile(file, 'utf8')).split('\n');
      lines[2] = Buffer.alloc(32, 1).toString('base64');
      await writeFile(file, lines.join('\n'));
    },
    finds: ['checkpoint-unverified', 'root-mismatch'],
  },
  {
    name: 'a checkpoint of another log by the same key holder',
    attack: async (fixture) => {
      const other = NoteSigner.generate('other.example/log');
      const head = { origin: 'other.example/log', size: 0, root: new TreeEdge().root() };
      await writeFile(fixture.path('log/checkpoint'), signCheckpoint(head, other));
    },
    finds: [
      'checkpoint-unverified',
      ...Array<string>(3).fill('recording-uncommitted'),
      'journal-unpublished@0',
    ],
  },
  {
    name: 'no checkpoint',
    attack: (fixture) => rm(fixture.path('log/checkpoint')),
    finds: ['checkpoint-missing'],
  },
  {
    name: 'a changed segment',
    attack: async (fixture, [first]) => {
      const bytes = await readFile(fixture.segmentPath(first!, 1));
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(fixture.segmentPath(first!, 1), bytes);
    },
    finds: ['segment-digest-mismatch@7'],
  },
  {
    name: 'a removed segment',
    attack: (fixture, [first]) => rm(fixture.segmentPath(first!, 0)),
    finds: ['segment-missing@6'],
  },
  {
    name: 'two segments that changed places',
    attack: async (fixture, [first]) => {
      const [a, b] = [fixture.segmentPath(first!, 0), fixture.segmentPath(first!, 1)];
      await rename(a, `${a}.swap`);
      await rename(b, a);
      await rename(`${a}.swap`, b);
    },
    finds: ['segment-digest-mismatch@6', 'segment-digest-mismatch@7'],
  },
  {
    name: 'a segment that was cut',
    attack: async (fixture, [first]) => {
      const file = fixture.segmentPath(first!, 0);
      await truncate(file, (await readFile(file)).length - 1);
    },
    finds: ['segment-digest-mismatch@6'],
  },
  {
    name: 'recordings that no entry names',
    attack: async (fixture, [first]) => {
      await copyFile(fixture.segmentPath(first!, 0), fixture.segmentPath(first!, 2));
      await mkdir(fixture.path('recordings/2026/01/31/01ARZ3NDEKTSV4RRFFQ69G5FAV'), { recursive: true });
      await writeFile(fixture.path('recordings/note.txt'), 'x');
    },
    finds: Array<string>(3).fill('recording-unlogged'),
  },
  {
    name: 'a recording under another date',
    attack: async (fixture, [first]) => {
      const elsewhere = fixture.path('recordings/2020/01/01', first!.session);
      await mkdir(elsewhere, { recursive: true });
      await writeFile(path.join(elsewhere, '0.cbor.zst'), 'forged');
    },
    finds: ['recording-unlogged'],
  },
  {
    name: 'files that are far too long',
    attack: async (fixture, [first]) => {
      await truncate(fixture.segmentPath(first!, 0), 3 * 2 ** 30);
      await truncate(fixture.path(`log/tile/0/000.p/${fixture.log.size}`), 3 * 2 ** 30);
      await truncate(fixture.path('log/journal'), 3 * 2 ** 30);
    },
    finds: ['segment-digest-mismatch@6', 'tile-mismatch', 'journal-damaged'],
  },
  {
    name: 'a named pipe in place of a segment',
    attack: async (fixture, [first]) => {
      await rm(fixture.segmentPath(first!, 0));
      execFileSync('mkfifo', [fixture.segmentPath(first!, 0)]);
    },
    finds: ['segment-missing@6', 'recording-unlogged'],
  },
  {
    name: 'a journal whose end takes for ever to search',
    attack: async (fixture) => {
      const lie = Buffer.alloc(14);
      lie.write('entr');
      lie.writeBigUInt64BE(BigInt(fixture.log.size + 1), 4);
      lie.writeUInt16BE(60_000, 12);
      await appendFile(
        fixture.path('log/journal'),
        Buffer.concat([lie.subarray(1), ...Array<Buffer>(9000).fill(lie)]),
      );
    },
    finds: ['journal-damaged'],
  },
  {
    name: 'another journal',
    attack: async (fixture) => {
      const other = await closedFixture();
      await copyFile(other.fixture.path('log/journal'), fixture.path('log/journal'));
      await other.fixture[Symbol.asyncDispose]();
    },
    finds: ['journal-mismatch@1'],
  },
];

test('finds a tile above the first level with more in it', async () => {
  const { fixture } = await closedFixture(600);
  await using _ = fixture;
  await appendFile(fixture.path('log/tile/1/000.p/2'), 'more');
  assert.deepEqual(await fixture.codes(), ['tile-mismatch']);
});

for (const { name, attack, finds } of cases) {
  test(`finds ${name}`, async () => {
    const { fixture, sessions } = await closedFixture();
    await using _ = fixture;
    await attack(fixture, sessions);
    assert.deepEqual((await fixture.codes()).toSorted(), finds.toSorted());
  });
}

test('finds a log that was rolled back, and one that was rewritten, with the checkpoint of an earlier time', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.history();
  await fixture.log.close();
  const kept = await readFile(fixture.path('log/checkpoint'));
  await fixture.reopen();
  const before = await readdir(fixture.path('log'), { recursive: true });
  assert.ok(before.length > 0);
  const saved = fixture.path('saved');
  await mkdir(saved);
  await copyFile(fixture.path('log/checkpoint'), path.join(saved, 'checkpoint'));
  await fixture.read(await fixture.signIn('cleo'));
  await fixture.log.close();
  const later = await readFile(fixture.path('log/checkpoint'));
  assert.deepEqual(await fixture.codes({ since: kept }), []);
  await copyFile(path.join(saved, 'checkpoint'), fixture.path('log/checkpoint'));
  assert.deepEqual(await fixture.codes(), [`journal-unpublished@${fixture.log.size - 2}`]);
  assert.deepEqual(await fixture.codes({ since: later }), [
    `log-rolled-back@${fixture.log.size - 2}`,
    `journal-unpublished@${fixture.log.size - 2}`,
  ]);
  await writeFile(fixture.path('log/checkpoint'), later);
  await rewrite(fixture, (entries) => [...entries.slice(0, 5), ...entries.slice(6)], fixture.signer);
  assert.ok((await fixture.codes({ since: kept })).includes('log-forked'));
});

test('finds sessions that contradict themselves', async () => {
  await using fixture = await EvidenceFixture.create();
  const [ana, ben] = [await fixture.signIn('ana'), await fixture.signIn('ben')];
  const wrong = await fixture.open(ana);
  await fixture.segment(wrong);
  await fixture.end(wrong, { lastSegment: 1 });
  await fixture.end(wrong);
  const gap = await fixture.open(ana);
  gap.totals.segments = 1;
  await fixture.segment(gap);
  const abandoned = await fixture.open(ana);
  await fixture.start();
  const open = await fixture.open(ana);
  await fixture.kill({ ...open, session: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }, ben);
  await fixture.log.close();
  const { findings } = await fixture.verify();
  assert.deepEqual(
    findings.map(({ code, session }) => [code, session]),
    [
      ['session-totals-mismatch', wrong.session],
      ['session-unknown', wrong.session],
      ['segment-out-of-order', gap.session],
      ['session-unknown', '01ARZ3NDEKTSV4RRFFQ69G5FAV'],
      ['session-never-closed', gap.session],
      ['session-never-closed', abandoned.session],
      ['session-unfinished', open.session],
    ],
  );
});

test('finds requests that the person did not sign, or not for this', async () => {
  await using fixture = await EvidenceFixture.create();
  const [ana, ben] = [await fixture.signIn('ana'), await fixture.signIn('ben')];
  const codesOf = async (make: () => Promise<unknown>) => {
    const from = fixture.log.size;
    await make();
    await fixture.log.checkpoint();
    const { findings } = await fixture.verify();
    return findings
      .filter(({ index, code }) => index !== null && index >= from && code !== 'session-unfinished')
      .map(({ code }) => code);
  };
  const claims = { action: 'session.open', target: 'db-prod', reason: 'incident 7' };
  const used = ana.sign(claims);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { request: used })), []);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { request: used })), ['request-reused']);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { request: ben.sign(claims) })), [
    'signature-invalid',
  ]);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { target: 'db-test' })), ['request-mismatch']);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { reason: 'because' })), ['request-mismatch']);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { task: 'deploy' })), ['request-mismatch']);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { actor: ben.actor })), ['login-mismatch']);
  assert.deepEqual(await codesOf(() => fixture.open(ana, { login: '01ARZ3NDEKTSV4RRFFQ69G5FAV' })), [
    'login-unknown',
  ]);
  const [header, , signature] = used.split('.');
  const forged = Buffer.from(JSON.stringify({ ...claims, v: 1 })).toString('base64url');
  assert.deepEqual(await codesOf(() => fixture.open(ana, { request: `${header}.${forged}.${signature}` })), [
    'signature-invalid',
  ]);
  const none = Buffer.from('{"alg":"none","typ":"hoop-request+jwt"}').toString('base64url');
  assert.deepEqual(await codesOf(() => fixture.open(ana, { request: `${none}.${forged}.AA` })), [
    'signature-invalid',
  ]);
  const old = ana.sign({ ...claims, iat: 1_700_000_000 });
  assert.deepEqual(await codesOf(() => fixture.open(ana, { request: old })), ['request-time']);
  await fixture.log.append({ kind: 'login.ended', actor: relayActor, login: ben.login, reason: 'logout' });
  await fixture.log.close();
});

test('an unsatisfied witness policy is a failure', async () => {
  const { fixture } = await closedFixture();
  await using _ = fixture;
  const witness = Cosigner.generate('witness.example/w1').verifier.toString();
  assert.deepEqual(await fixture.codes({ witnesses: { vkeys: [witness], threshold: 1 } }), [
    'checkpoint-unwitnessed',
  ]);
});
