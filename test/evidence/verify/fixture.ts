/** A real evidence directory: real keys, signatures, log and segments; only the recorded records are made up. */
import { generateKeyPairSync, hash, randomUUID, sign } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import canonicalize from 'canonicalize';
import { encode } from 'cbor-x';
import { relayActor, type EntryOf } from '../../../src/evidence/entry.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { sealedName, sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import { verify, type Report, type VerifyOptions } from '../../../src/evidence/verify/index.ts';
import type { Clock } from '../../../src/system/clock.ts';
import { ulid } from '../../../src/system/ulid.ts';

export class StepClock implements Clock {
  ms = Date.UTC(2026, 0, 31, 23, 59, 58);
  wallMs(): number {
    return (this.ms += 7);
  }
  monotonicMs(): number {
    return this.ms;
  }
}

export interface TestLogin {
  readonly login: string;
  readonly actor: EntryOf<'login'>['actor'];
  sign(claims: Record<string, unknown>): string;
}

export type Prove = (
  login: Pick<EntryOf<'login'>, 'actor' | 'key' | 'thumbprint'> & { readonly nowSeconds: number },
) => Promise<Partial<EntryOf<'login'>>>;

export interface TestSession {
  readonly session: string;
  readonly openedAtMs: number;
  readonly totals: {
    segments: number;
    commands: number;
    bytes: number;
    rawBytes: number;
    redactions: number;
  };
}

interface RecordedBy {
  readonly review?: string;
  readonly connection?: number;
  readonly command?: number;
  /** The text is a prepared statement's, of this id. */
  readonly statement?: number;
  readonly parameters?: Buffer;
  readonly verdict?: 'allow' | 'deny';
}

const part = (value: unknown): string => Buffer.from(canonicalize(value)!).toString('base64url');

export class EvidenceFixture {
  readonly directory: string;
  readonly signer = NoteSigner.generate('relay.example/log');
  readonly clock = new StepClock();
  log!: Log;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<EvidenceFixture> {
    const fixture = new EvidenceFixture(await mkdtemp(path.join(tmpdir(), 'hoop-verify-')));
    await fixture.reopen();
    await fixture.start();
    return fixture;
  }

  get vkey(): string {
    return this.signer.verifier.toString();
  }

  path(...names: string[]): string {
    return path.join(this.directory, ...names);
  }

  async reopen(): Promise<void> {
    const directory = this.path('log');
    this.log = await Log.open({ directory, signer: this.signer, clock: this.clock, checkpointMs: 20 });
  }

  async start(): Promise<void> {
    const configDigest = '0'.repeat(64);
    await this.log.append({ kind: 'relay.started', actor: relayActor, version: '0.1.0', configDigest });
  }

  /** @param told what the entry says else (an agent's, above all), or makes what the issuer signed and says what it holds of that */
  async signIn(
    subject: string,
    groups = ['engineering'],
    told: Partial<EntryOf<'login'>> | Prove = {},
  ): Promise<TestLogin> {
    const changes = typeof told === 'function' ? {} : told;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const key = { kty: 'EC', crv: 'P-256', x, y } as const;
    const thumbprint = hash('sha256', canonicalize(key)!, 'base64url');
    const actor = changes.actor ?? {
      kind: 'person',
      issuer: 'https://idp.example',
      subject,
      email: `${subject}@example.com`,
    };
    const login = ulid(this.clock.wallMs());
    await this.log.append({
      kind: 'login',
      actor,
      login,
      renews: null,
      groups,
      method: 'device-code',
      key,
      thumbprint,
      binding: 'bound-by-relay',
      idTokenDigest: hash('sha256', subject, 'hex'),
      ...(typeof told === 'function'
        ? await told({ actor, key, thumbprint, nowSeconds: Math.floor(this.clock.ms / 1000) })
        : told),
    });
    return {
      login,
      actor,
      sign: (claims) => {
        const header = { alg: 'ES256', typ: 'hoop-request+jwt', kid: thumbprint };
        const iat = Math.floor(this.clock.wallMs() / 1000);
        const whole = { v: 1, relay: 'https://relay.example', iat, jti: randomUUID(), ...claims };
        const text = `${part(header)}.${part(whole)}`;
        const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
        return `${text}.${signature.toString('base64url')}`;
      },
    };
  }

  async open(by: TestLogin, changes: Partial<EntryOf<'session.opened'>> = {}): Promise<TestSession> {
    const session = ulid(this.clock.wallMs());
    const { time } = await this.log.append({
      kind: 'session.opened',
      actor: by.actor,
      session,
      login: by.login,
      target: 'db-prod',
      protocol: 'postgres',
      reason: 'incident 7',
      task: null,
      deadline: new Date(this.clock.ms + 3_600_000).toISOString(),
      policies: ['engineers-connect'],
      request: by.sign({ action: 'session.open', target: 'db-prod', reason: 'incident 7' }),
      ...changes,
    });
    const totals = { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 };
    return { session, openedAtMs: Date.parse(time), totals };
  }

  segmentPath({ openedAtMs, session }: TestSession, index: number): string {
    return path.join(sessionDirectory(this.directory, openedAtMs, session), sealedName(index));
  }

  /** @param by the command's review, numbers and verdict, where a test is about them */
  async segment(of: TestSession, content = 'select 1', by: RecordedBy = {}): Promise<void> {
    const index = of.totals.segments;
    const raw = Buffer.concat([
      encode([0, 'segment', { v: 1, session: of.session, index, protocol: 'postgres' }]),
      ...(by.statement === undefined
        ? []
        : [encode([4, 'statement', 1, by.statement, Buffer.from(content), [], null])]),
      encode([
        5,
        'command',
        by.connection ?? 1,
        by.command ?? index + 1,
        by.statement ?? Buffer.from(content),
        by.parameters ?? null,
        by.verdict ?? 'allow',
        null,
        by.review ?? null,
      ]),
    ]);
    const stored = zstdCompressSync(raw, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    const file = this.segmentPath(of, index);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, stored);
    const measured = { bytes: stored.length, rawBytes: raw.length, commands: 1, redactions: 0 };
    await this.log.append({
      kind: 'segment',
      actor: relayActor,
      session: of.session,
      index,
      sha256: hash('sha256', stored, 'hex'),
      firstMicros: 0,
      lastMicros: 5,
      sealed: null,
      ...measured,
    });
    of.totals.segments += 1;
    of.totals.commands += 1;
    of.totals.bytes += stored.length;
    of.totals.rawBytes += raw.length;
  }

  async end(of: TestSession, changes: Partial<EntryOf<'session.closed'>> = {}): Promise<void> {
    await this.log.append({
      kind: 'session.closed',
      actor: relayActor,
      session: of.session,
      outcome: 'ended',
      lastSegment: of.totals.segments === 0 ? null : of.totals.segments - 1,
      totals: { ...of.totals },
      ...changes,
    });
  }

  async kill(of: TestSession, by: TestLogin): Promise<void> {
    await this.log.append({
      kind: 'session.killed',
      actor: by.actor,
      session: of.session,
      login: by.login,
      reason: null,
      request: by.sign({ action: 'session.kill', session: of.session }),
    });
  }

  /** Two people, three sessions, one of them killed, `filler` entries between. */
  async history(filler = 0): Promise<TestSession[]> {
    const [ana, ben] = [await this.signIn('ana'), await this.signIn('ben')];
    const sessions = [await this.open(ana), await this.open(ben), await this.open(ana)];
    for (const count of [2, 1, 3]) {
      const session = sessions[[2, 1, 3].indexOf(count)]!;
      for (let i = 0; i < count; i++) await this.segment(session, `select ${i}`);
    }
    await Promise.all(Array.from({ length: filler }, () => this.read(ana)));
    await this.kill(sessions[1]!, ana);
    await this.end(sessions[1]!, { outcome: 'killed' });
    await this.end(sessions[0]!);
    await this.end(sessions[2]!);
    return sessions;
  }

  async read(by: TestLogin, changes: Partial<EntryOf<'evidence.read'>> = {}): Promise<void> {
    await this.log.append({
      kind: 'evidence.read',
      actor: by.actor,
      action: 'sessions',
      session: null,
      from: null,
      to: null,
      filters: {},
      login: by.login,
      request: by.sign({ action: 'evidence.sessions' }),
      ...changes,
    });
  }

  verify(changes: Partial<VerifyOptions> = {}): Promise<Report> {
    return verify({ directory: this.directory, vkey: this.vkey, ...changes });
  }

  /** `code` or `code@index` of each finding, in order. */
  async codes(changes: Partial<VerifyOptions> = {}): Promise<string[]> {
    const { findings } = await this.verify(changes);
    return findings.map(({ code, index }) => (index === null ? code : `${code}@${index}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
