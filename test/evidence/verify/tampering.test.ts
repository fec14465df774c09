/**
 * A history that a relay really recorded (reviews, masked values, several segments, a kill, a crash with its recovery, reads), and
 * everything that somebody with the files, and then with the log's key too, may do to it. Each is found and has its name.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, copyFile, mkdir, rename, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { identityToRecipient } from 'age-encryption';
import canonicalize from 'canonicalize';
import type { Entry } from '../../../src/evidence/entry.ts';
import { signCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import { Cosigner, NoteSigner } from '../../../src/evidence/log/note.ts';
import { frameEntry, splitBundle, TreeEdge } from '../../../src/evidence/log/tile.ts';
import { leafHash } from '../../../src/evidence/log/tlog.ts';
import { witnessedPath } from '../../../src/evidence/log/witnessed.ts';
import { encryptAge, parseRecipient } from '../../../src/evidence/recording/age.ts';
import { decodeItem } from '../../../src/evidence/recording/decode.ts';
import { sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import { verify, type FailureCode, type VerifyOptions } from '../../../src/evidence/verify/index.ts';
import type { TestLogin } from './fixture.ts';
import { auditor, openAge, otherAuditor, RecordedHistory } from './recorded-history.ts';

let history: RecordedHistory;
let [ana, ben]: TestLogin[] = [];
/** Of three sessions in order: Ana's with reviews and masked values, Ben's that was killed, Ana's that a crash interrupted. */
const sessions: string[] = [];
/** Of the first session: the age file of its segment 0 as it was before it was resealed. */
let replaced: Buffer;
/** And another segment of it that has originals. */
let sealed: number;
/** The checkpoint in the middle of it. */
let seen: Buffer;

before(async () => {
  history = await RecordedHistory.create();
  const { fixture } = history;
  [ana, ben] = [await fixture.signIn('ana', ['dba-leads']), await fixture.signIn('ben', ['dba-leads'])];
  const first = await history.open(ana);
  history.command(first, 'select 1');
  history.command(first, 'select card from cards', { masked: true });
  await history.review(first, 'delete from a', 'approve', ben);
  await history.review(first, 'delete from b', 'reject', ben);
  for (let i = 0; i < 5; i++) history.command(first, `table big${i}`, { rowBytes: 250_000 });
  history.command(first, 'select iban from accounts', { masked: true });
  const second = await history.open(ben);
  history.command(second, 'select 2');
  await history.kill(second, ana);
  await fixture.log.checkpoint();
  seen = readFileSync(fixture.path('log/checkpoint'));
  await history.close(first);
  const directory = sessionDirectory(fixture.directory, first.of.openedAtMs, first.of.session);
  replaced = readFileSync(path.join(directory, '0.age'));
  sealed = Number.parseInt(
    readdirSync(directory).find((name) => /^[1-9]\d*\.age$/.test(name))!,
    10,
  );
  await history.reseal(first.of, 0, ana);
  const third = await history.open(ana);
  history.command(third, 'select 3', { masked: true });
  sessions.push(...[first, second, third].map(({ of }) => of.session));
  await history.crash(5);
  await fixture.read(ana);
  await fixture.read(ben);
  await history.finish();
});
after(() => history[Symbol.asyncDispose]());

/** A copy to do anything to. */
class Copy implements Disposable {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hoop-tampered-'));
  /** Of the log. */
  size = history.fixture.log.size;

  constructor() {
    cpSync(history.fixture.directory, this.directory, { recursive: true });
  }

  path(...names: string[]): string {
    return path.join(this.directory, ...names);
  }

  get bundle(): string {
    return this.path(`log/tile/entries/000.p/${this.size}`);
  }

  get tile(): string {
    return this.path(`log/tile/0/000.p/${this.size}`);
  }

  /** @param session which of the three */
  recording(session: number, name: string): string {
    const root = this.path('recordings');
    const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).find((each) =>
      each.endsWith(sessions[session]!),
    );
    return path.join(root, found!, name);
  }

  /** Flips a bit in the middle. */
  flip(file: string): void {
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(file, bytes);
  }

  get entries(): Buffer[] {
    return splitBundle(readFileSync(this.bundle), this.size);
  }

  /** Writes the tree anew and signs it. @param signer null: the old checkpoint stays */
  write(entries: readonly Buffer[], signer: NoteSigner | null = history.fixture.signer): void {
    const edge = new TreeEdge();
    for (const entry of entries) edge.append(leafHash(entry), () => undefined);
    rmSync(this.path('log/tile/entries'), { recursive: true });
    rmSync(this.path('log/tile/0'), { recursive: true });
    for (const [kind, bytes] of [
      ['entries', Buffer.concat(entries.map(frameEntry))],
      ['0', Buffer.concat([...edge.partial(0)])],
    ] as const) {
      cpSync(history.fixture.path(`log/tile/${kind}`), this.path(`log/tile/${kind}`), { recursive: true });
      writeFileSync(this.path(`log/tile/${kind}/000.p/${entries.length}`), bytes);
    }
    rmSync(this.path('log/journal'), { force: true });
    if (signer === null) return;
    const head = { origin: signer.name, size: entries.length, root: edge.root() };
    writeFileSync(this.path('log/checkpoint'), signCheckpoint(head, signer));
  }

  /** The thief of the log's key tells another story. */
  retell(change: (entries: Entry[]) => readonly (Entry | string)[]): void {
    const told = change(this.entries.map((bytes) => JSON.parse(String(bytes)) as Entry));
    this.write(told.map((entry) => Buffer.from(typeof entry === 'string' ? entry : canonicalize(entry)!)));
  }

  /** Changes entries of a kind. @param nth only this one, from 0 */
  change<K extends Entry['kind']>(
    kind: K,
    change: (entry: Extract<Entry, { kind: K }>) => object,
    nth: number | null = 0,
  ): void {
    let count = 0;
    this.retell((entries) =>
      entries.map((entry) =>
        entry.kind === kind && (nth === null || count++ === nth)
          ? ({ ...entry, ...change(entry as Extract<Entry, { kind: K }>) } as Entry)
          : entry,
      ),
    );
  }

  /** @param nth from 0 */
  remove(kind: Entry['kind'], nth = 0): void {
    let count = 0;
    this.retell((entries) => entries.filter((entry) => entry.kind !== kind || count++ !== nth));
  }

  /**
   * Replaces a segment, and with the stolen key what the log says of it, so that all sums are right.
   * @param raw the segment; as it is stored when it is no segment at all
   */
  resegment(session: number, index: number, raw: Buffer, stored = zstdCompressSync(raw)): void {
    writeFileSync(this.recording(session, `${index}.cbor.zst`), stored);
    const says = { sha256: hash('sha256', stored, 'hex'), bytes: stored.length, rawBytes: raw.length };
    let [bytes, rawBytes] = [0, 0];
    this.retell((entries) =>
      entries.map((entry): Entry => {
        if (!('session' in entry) || entry.session !== sessions[session]) return entry;
        if (entry.kind === 'segment' && entry.index === index) {
          [bytes, rawBytes] = [says.bytes - entry.bytes, says.rawBytes - entry.rawBytes];
          return { ...entry, ...says };
        }
        if (entry.kind !== 'session.closed') return entry;
        const { totals } = entry;
        const corrected = { bytes: totals.bytes + bytes, rawBytes: totals.rawBytes + rawBytes };
        return { ...entry, totals: { ...totals, ...corrected } };
      }),
    );
  }

  /** @param note a checkpoint that the witness has cosigned last */
  witness(note: string): void {
    const text = note.slice(0, note.indexOf('\n\n') + 1);
    const file = this.path('log', witnessedPath(witness.verifier.toString()));
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, note + witness.cosign(text, Math.floor(history.fixture.clock.ms / 1000)));
  }

  /** Decompressed. */
  raw(session: number, index: number): Buffer {
    return zstdDecompressSync(readFileSync(this.recording(session, `${index}.cbor.zst`)));
  }

  async codes(options: Partial<VerifyOptions> = {}): Promise<string[]> {
    const { vkey } = history.fixture;
    const { findings, verified } = await verify({ directory: this.directory, vkey, ...options });
    const found = [
      ...new Set(findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code)),
    ];
    assert.equal(verified, found.length === 0);
    return found.toSorted();
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

interface Tampering {
  readonly name: string;
  readonly tamper: (copy: Copy) => unknown;
  /** The failures, each once, and no other. */
  readonly finds: readonly FailureCode[];
  readonly options?: () => Partial<VerifyOptions>;
}

/** Without the last record of this kind. */
function withoutLast(segment: Buffer, kind: string): Buffer {
  let found: readonly [number, number] = [0, 0];
  for (let at = 0; at < segment.length;) {
    const { value, end } = decodeItem(segment, at)!;
    if (Array.isArray(value) && value[1] === kind) found = [at, end];
    at = end;
  }
  return Buffer.concat([segment.subarray(0, found[0]), segment.subarray(found[1])]);
}

const other = parseRecipient(await identityToRecipient(otherAuditor))!;
const opening = (): Partial<VerifyOptions> => ({ identities: [auditor, otherAuditor] });

const ofFirst = ({ session, index }: { session: string; index: number }, segment: number): boolean =>
  session === sessions[0] && index === segment;

const witness = Cosigner.generate('witness.example/w1');
const witnessed = (): Partial<VerifyOptions> => ({
  witnesses: { vkeys: [witness.verifier.toString()], threshold: 1 },
});

/** Whoever has the files. */
const ofFiles: Tampering[] = [
  { name: 'no checkpoint', tamper: (c) => rm(c.path('log/checkpoint')), finds: ['checkpoint-missing'] },
  {
    name: 'a checkpoint that was cut',
    tamper: (c) => truncate(c.path('log/checkpoint'), 20),
    finds: ['checkpoint-malformed'],
  },
  {
    name: 'a checkpoint signed by a stranger',
    tamper: (c) => c.write(c.entries, NoteSigner.generate('relay.example/log')),
    finds: ['checkpoint-unverified'],
  },
  {
    name: 'a signature taken from another checkpoint',
    tamper: (c) => {
      const [origin, size, , ...rest] = readFileSync(c.path('log/checkpoint'), 'utf8').split('\n');
      writeFileSync(
        c.path('log/checkpoint'),
        [origin, size, Buffer.alloc(32, 1).toString('base64'), ...rest].join('\n'),
      );
    },
    finds: ['checkpoint-unverified', 'root-mismatch'],
  },
  {
    name: 'an entry of which a letter was changed',
    tamper: (c) => {
      writeFileSync(
        c.bundle,
        readFileSync(c.bundle, 'latin1').replace('ana@example.com', 'eva@example.com'),
        'latin1',
      );
      rmSync(c.path('log/journal'));
    },
    finds: ['entry-mismatch', 'root-mismatch'],
  },
  {
    name: 'a changed entry with the hashes above it written anew',
    tamper: (c) =>
      c.write(
        c.entries.map((each) => Buffer.from(String(each).replace('ana@', 'eva@'))),
        null,
      ),
    finds: ['root-mismatch'],
  },
  { name: 'a removed bundle of entries', tamper: (c) => rm(c.bundle), finds: ['entries-missing'] },
  { name: 'a bundle that was cut', tamper: (c) => truncate(c.bundle, 1000), finds: ['entries-malformed'] },
  { name: 'a removed tile', tamper: (c) => rm(c.tile), finds: ['tile-missing'] },
  {
    name: 'a tile with a hash more',
    tamper: (c) => appendFile(c.tile, Buffer.alloc(32)),
    finds: ['tile-mismatch'],
  },
  { name: 'a changed tile', tamper: (c) => c.flip(c.tile), finds: ['entry-mismatch'] },
  {
    name: 'a journal of something else',
    tamper: (c) => c.flip(c.path('log/journal')),
    finds: ['journal-damaged'],
  },
  { name: 'a removed segment', tamper: (c) => rm(c.recording(0, '1.cbor.zst')), finds: ['segment-missing'] },
  {
    name: 'a changed segment',
    tamper: (c) => c.flip(c.recording(0, '0.cbor.zst')),
    finds: ['segment-digest-mismatch'],
  },
  {
    name: 'two segments that changed places',
    tamper: async (c) => {
      const [a, b] = [c.recording(0, '0.cbor.zst'), c.recording(0, '1.cbor.zst')];
      await rename(a, `${a}.x`);
      await rename(b, a);
      await rename(`${a}.x`, b);
    },
    finds: ['segment-digest-mismatch'],
  },
  {
    name: 'a segment in place of another session’s',
    tamper: (c) => copyFile(c.recording(1, '0.cbor.zst'), c.recording(2, '0.cbor.zst')),
    finds: ['segment-digest-mismatch'],
  },
  {
    name: 'removed originals',
    tamper: (c) => rm(c.recording(0, `${sealed}.age`)),
    finds: ['originals-missing'],
  },
  {
    name: 'changed originals',
    tamper: (c) => c.flip(c.recording(0, `${sealed}.age`)),
    finds: ['originals-digest-mismatch'],
  },
  {
    name: 'originals in place of another segment’s',
    tamper: (c) => copyFile(c.recording(0, '0.age'), c.recording(0, `${sealed}.age`)),
    finds: ['originals-digest-mismatch'],
  },
  {
    name: 'resealed originals sealed once more by somebody who knows the recipients',
    tamper: async (c) => {
      const file = c.recording(0, '0.age');
      writeFileSync(file, encryptAge([other], await openAge(readFileSync(file))));
    },
    finds: ['originals-digest-mismatch'],
  },
  {
    name: 'resealed originals removed',
    tamper: (c) => rm(c.recording(0, '0.age')),
    finds: ['originals-missing'],
  },
  {
    name: 'originals where none were sealed',
    tamper: (c) => copyFile(c.recording(0, '0.age'), c.recording(1, '0.age')),
    finds: ['recording-unlogged'],
  },
  {
    name: 'a segment more than the log names',
    tamper: (c) => copyFile(c.recording(1, '0.cbor.zst'), c.recording(1, '1.cbor.zst')),
    finds: ['recording-unlogged'],
  },
  {
    name: 'a recording of a session that never was',
    tamper: async (c) => {
      const made = path.join(path.dirname(path.dirname(c.recording(0, 'x'))), '01ARZ3NDEKTSV4RRFFQ69G5FAV');
      await mkdir(made);
      await copyFile(c.recording(1, '0.cbor.zst'), path.join(made, '0.cbor.zst'));
    },
    finds: ['recording-unlogged'],
  },
  {
    name: 'a log taken back to what it was',
    tamper: (c) => {
      const size = Number(String(seen).split('\n')[1]);
      c.write(c.entries.slice(0, size), null);
      writeFileSync(c.path('log/checkpoint'), seen);
      rmSync(c.path('recordings'), { recursive: true });
    },
    finds: ['log-rolled-back'],
    options: () => ({ since: readFileSync(history.fixture.path('log/checkpoint')), recordings: false }),
  },
];

/** Whoever has the log's key as well. */
const withKey: Tampering[] = [
  {
    name: 'a kill removed from the past',
    tamper: (c) => c.remove('session.killed'),
    finds: ['log-forked'],
    options: () => ({ since: seen }),
  },
  {
    name: 'an entry that is none',
    tamper: (c) => c.retell((all) => [...all, '{"kind":7}']),
    finds: ['entry-malformed'],
  },
  {
    name: 'two reads in the other order',
    tamper: (c) => c.retell((all) => [...all.slice(0, -2), all.at(-1)!, all.at(-2)!]),
    finds: ['time-decreased'],
  },
  { name: 'a removed sign-in', tamper: (c) => c.remove('login'), finds: ['login-unknown'] },
  {
    name: 'a sign-in of somebody else',
    tamper: (c) => c.change('login', () => ({ actor: ben!.actor })),
    finds: ['login-mismatch'],
  },
  {
    name: 'a sign-in with another key, which signed nothing',
    tamper: (c) => {
      const other = JSON.parse(String(c.entries[2])) as Extract<Entry, { kind: 'login' }>;
      c.change('login', () => ({ key: other.key, thumbprint: other.thumbprint }));
    },
    finds: ['signature-invalid'],
  },
  {
    name: 'a sign-in that had ended an hour before it was used',
    tamper: (c) =>
      c.retell((all) =>
        all.flatMap((entry): Entry[] => {
          const later = new Date(Date.parse(entry.time) + 3_600_000).toISOString();
          if (entry.kind === 'evidence.read') return [{ ...entry, time: later }];
          if (entry.kind !== 'login' || entry.login !== ana!.login) return [entry];
          const { v, time, login } = entry;
          return [entry, { v, kind: 'login.ended', time, actor: { kind: 'relay' }, login, reason: 'logout' }];
        }),
      ),
    finds: ['login-over'],
  },
  {
    name: 'a session at another target than was signed',
    tamper: (c) => c.change('session.opened', () => ({ target: 'db-test' })),
    finds: ['request-mismatch', 'review-mismatch'],
  },
  {
    name: 'a reason that nobody signed',
    tamper: (c) => c.change('session.opened', () => ({ reason: 'maintenance' })),
    finds: ['request-mismatch'],
  },
  {
    name: 'a session attributed to somebody else',
    tamper: (c) => c.change('session.opened', () => ({ actor: ben!.actor, login: ben!.login }), 2),
    finds: ['signature-invalid'],
  },
  {
    name: 'a session opened a second time by the same request',
    tamper: (c) =>
      c.retell((all) => {
        const opened = all.find((entry) => entry.kind === 'session.opened')!;
        return [
          ...all,
          { ...opened, time: all.at(-1)!.time, session: '01ARZ3NDEKTSV4RRFFQ69G5FAV' } as Entry,
        ];
      }),
    finds: ['request-reused'],
  },
  {
    name: 'a session opened again under its id',
    tamper: (c) =>
      c.retell((all) => {
        const opened = all.findLast((entry) => entry.kind === 'session.opened')!;
        return all.flatMap((entry) => (entry === opened ? [entry, entry] : [entry]));
      }),
    finds: ['request-reused', 'session-reopened'],
  },
  {
    name: 'a removed session',
    tamper: (c) =>
      c.retell((all) => all.filter((entry) => !('session' in entry) || entry.session !== sessions[1])),
    finds: ['recording-unlogged'],
  },
  {
    name: 'a session without its beginning',
    tamper: (c) => c.remove('session.opened', 1),
    finds: ['recording-unlogged', 'session-unknown'],
  },
  {
    name: 'an interrupted session without its end',
    tamper: (c) =>
      c.retell((all) =>
        all.filter((entry) => entry.kind !== 'session.closed' || entry.session !== sessions[2]),
      ),
    finds: ['session-never-closed'],
  },
  {
    name: 'an end that was told after the next start',
    tamper: (c) =>
      c.retell((all) => {
        const closed = all.find((entry) => entry.kind === 'session.closed' && entry.session === sessions[2])!;
        const time = all.at(-1)!.time;
        return [...all.filter((entry) => entry !== closed), { ...closed, time } as Entry];
      }),
    finds: ['session-closed-late'],
  },
  {
    name: 'totals without the commands that somebody would rather not have run',
    tamper: (c) =>
      c.change('session.closed', ({ totals }) => ({ totals: { ...totals, commands: totals.commands - 1 } })),
    finds: ['session-totals-mismatch'],
  },
  {
    name: 'a segment left out of the log',
    tamper: (c) =>
      c.retell((all) =>
        all.filter((entry) => entry.kind !== 'segment' || entry.session !== sessions[0] || entry.index !== 0),
      ),
    finds: ['reseal-invalid', 'segment-out-of-order', 'session-totals-mismatch'],
  },
  {
    name: 'a segment of bytes that are none',
    tamper: (c) => c.resegment(1, 0, c.raw(1, 0), Buffer.from('nothing')),
    finds: ['segment-undecodable'],
  },
  {
    name: 'a segment of another session, logged as this one’s',
    tamper: (c) => c.resegment(1, 0, c.raw(2, 0)),
    finds: ['segment-header-mismatch'],
  },
  {
    name: 'a segment without one of its commands',
    tamper: (c) => c.resegment(1, 0, withoutLast(c.raw(1, 0), 'command')),
    finds: ['segment-counts-mismatch'],
  },
  {
    name: 'a segment without one of its masked values',
    tamper: (c) => c.resegment(0, 0, withoutLast(c.raw(0, 0), 'redactions')),
    finds: ['segment-counts-mismatch'],
  },
  {
    name: 'originals of somebody’s own, sealed to the auditors’ recipients and logged as these',
    tamper: (c) => {
      const forged = encryptAge([other], Buffer.from('82004434313131', 'hex'));
      writeFileSync(c.recording(0, `${sealed}.age`), forged);
      c.change(
        'segment',
        (entry) => (ofFirst(entry, sealed) ? { sealed: hash('sha256', forged, 'hex') } : {}),
        null,
      );
    },
    finds: ['originals-mismatch'],
    options: opening,
  },
  {
    name: 'originals that an auditor changed when sealing them anew, and signed',
    tamper: async (c) => {
      const file = c.recording(0, '0.age');
      const changed = await openAge(readFileSync(file));
      changed[changed.length - 1]! ^= 1;
      const forged = encryptAge([other], changed);
      writeFileSync(file, forged);
      c.change('originals.resealed', ({ session, segment, from, recipients }) => {
        const to = hash('sha256', forged, 'hex');
        const said = { session, segment, from, to, recipients };
        return { to, request: ana!.sign({ action: 'originals.reseal', ...said }) };
      });
    },
    finds: ['originals-mismatch'],
    options: opening,
  },
  {
    name: 'a resealing that nobody signed',
    tamper: (c) => c.change('originals.resealed', () => ({ recipients: [other.text, other.text] })),
    finds: ['request-mismatch'],
  },
  {
    name: 'a resealing taken out',
    tamper: (c) => c.remove('originals.resealed'),
    finds: ['originals-digest-mismatch'],
  },
  {
    name: 'a resealing of a file that the log does not name',
    tamper: (c) =>
      c.change('segment', (entry) => (ofFirst(entry, 0) ? { sealed: '0'.repeat(64) } : {}), null),
    finds: ['reseal-invalid'],
  },
  {
    name: 'a held command that nobody was asked about',
    tamper: (c) => c.remove('review.requested'),
    finds: ['command-unapproved', 'review-mismatch'],
  },
  {
    name: 'a review of which only the decision is left',
    tamper: (c) => {
      c.remove('review.requested');
      c.size = c.size - 1;
      c.remove('command.held');
    },
    finds: ['review-unknown'],
  },
  {
    name: 'another text than people were shown',
    tamper: (c) =>
      c.change('command.held', () => ({ text: 'select 1', digest: hash('sha256', 'select 1', 'hex') })),
    finds: ['review-mismatch'],
  },
  { name: 'an approval taken out', tamper: (c) => c.remove('review.decided'), finds: ['command-unapproved'] },
  {
    name: 'a rejection that reads as an approval',
    tamper: (c) => c.change('review.decided', () => ({ decision: 'approve', outcome: 'approved' }), 1),
    finds: ['request-mismatch'],
  },
  {
    name: 'an approval by the person who asked',
    tamper: (c) => c.change('review.decided', () => ({ actor: ana!.actor, login: ana!.login })),
    finds: ['command-unapproved', 'review-decision-invalid', 'signature-invalid'],
  },
  {
    name: 'an outcome that the decisions do not give',
    tamper: (c) => c.change('review.decided', () => ({ outcome: 'pending' })),
    finds: ['review-outcome-mismatch'],
  },
  {
    name: 'a command put in place of the one that was approved',
    tamper: (c) => {
      const changed = c.raw(0, 0).toString('latin1').replace('delete from a', 'delete from c');
      c.resegment(0, 0, Buffer.from(changed, 'latin1'));
    },
    finds: ['review-mismatch'],
  },
  {
    name: 'a log that a witness saw otherwise',
    tamper: (c) => {
      const head = { origin: 'relay.example/log', size: 3, root: Buffer.alloc(32, 9) };
      c.witness(signCheckpoint(head, history.fixture.signer));
    },
    finds: ['checkpoint-unwitnessed', 'log-forked'],
    options: witnessed,
  },
  {
    name: 'a log that was kept from its witnesses for two hours',
    tamper: (c) => {
      c.witness(String(seen));
      c.retell((all) => {
        const last = all.at(-1)!;
        const time = new Date(Date.parse(last.time) + 7_200_000).toISOString();
        return [...all.slice(0, -1), { ...last, time }];
      });
    },
    finds: ['witnesses-late'],
    options: witnessed,
  },
  {
    name: 'a log that no witness has seen',
    tamper: () => undefined,
    finds: ['checkpoint-unwitnessed'],
    options: witnessed,
  },
];

test('untouched, it verifies without any finding', async () => {
  using copy = new Copy();
  const { findings, counts } = await verify({
    directory: copy.directory,
    vkey: history.fixture.vkey,
    since: seen,
  });
  assert.deepEqual(findings, []);
  assert.deepEqual([counts.sessions, counts.unfinishedSessions, counts.segments >= 4], [3, 0, true]);
  assert.ok(ofFiles.length + withKey.length >= 50);
});

test('resealed originals: who opens what, and the file from before is told from a wrong one', async () => {
  using copy = new Copy();
  const { vkey } = history.fixture;
  const look = async (...identities: string[]) => {
    const { findings, originals, counts } = await verify({ directory: copy.directory, vkey, identities });
    return { codes: findings.map(({ code }) => code), ...originals!, resealed: counts.resealed };
  };
  const all = await look(auditor, otherAuditor);
  assert.deepEqual([all.codes, all.opened >= 3, all.locked, all.resealed], [[], true, 0, 1]);
  assert.deepEqual((await look(otherAuditor)).opened, 1);
  const former = await look(auditor);
  assert.deepEqual([former.codes, former.opened, former.locked], [['originals-locked'], all.opened - 1, 1]);
  writeFileSync(copy.recording(0, '0.age'), replaced);
  const outdated = await look(auditor);
  assert.deepEqual([outdated.codes, outdated.opened], [['originals-outdated'], all.opened]);
  assert.equal(outdated.resealed, 0);
});

for (const [who, cases] of [
  ['with the files', ofFiles],
  ['with the log’s key', withKey],
] as const)
  for (const { name, tamper, finds, options } of cases)
    test(`${who}: ${name}: ${finds.join(', ')}`, async () => {
      using copy = new Copy();
      await tamper(copy);
      assert.deepEqual(await copy.codes(options?.()), finds);
    });

test('every failure that verification knows is made by a test', () => {
  const finding = readFileSync(
    path.resolve(import.meta.dirname, '../../../src/evidence/verify/finding.ts'),
    'utf8',
  );
  const failures = [...finding.split('export type WarningCode')[0]!.matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(
    ([, code]) => code!,
  );
  assert.ok(failures.length > 40);
  const tests = path.resolve(import.meta.dirname, '../..');
  const texts = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(path.join(tests, file), 'utf8'));
  assert.deepEqual(
    failures.filter((code) => !texts.some((text) => new RegExp(`\\b${code}\\b`).test(text))),
    [],
  );
});
