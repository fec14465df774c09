/** A relay's evidence with an archive beside it. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { StoredAt, type Location } from '../../../src/evidence/location.ts';
import { sessionPath } from '../../../src/evidence/recording/layout.ts';
import { verify } from '../../../src/evidence/verify/index.ts';
import { ArchivedEvidence } from '../../../src/relay/archive/archived-evidence.ts';
import { ArchiveLocks } from '../../../src/relay/archive/archive-locks.ts';
import { Carrier } from '../../../src/relay/archive/carrier.ts';
import { fsck, type FsckFinding } from '../../../src/relay/archive/fsck.ts';
import { LocalCopies, type LocalCopiesOptions } from '../../../src/relay/archive/local-copies.ts';
import type { S3StoreOptions } from '../../../src/relay/archive/s3/s3-store.ts';
import type { ArchiveStore } from '../../../src/relay/archive/store.ts';
import { resolveRetention, RetentionFile } from '../../../src/relay/config/retention.ts';
import { Retention, type RetentionOptions } from '../../../src/relay/retention/retention.ts';
import { Cursor } from '../../../src/relay/streams/cursor.ts';
import { RecordedHistory, type LiveSession } from '../../evidence/verify/recorded-history.ts';
import type { S3Options } from '../../support/s3/s3-server.ts';
import { openArchive, type kinds, type TestArchive } from './stores.ts';

export const day = 86_400_000;
export const root = { account: 'root', reason: 'case 4711' };
export const lock = { mode: 'compliance', retainMs: 30 * day } as const;

export class World implements AsyncDisposable {
  readonly history: RecordedHistory;
  readonly archive: TestArchive;
  readonly told: string[] = [];
  readonly scratch = mkdtempSync(path.join(tmpdir(), 'hoop-carrier-'));
  lost = 0;
  retention: Retention;
  readonly locks: ArchiveLocks;
  keepLocalMs = 0;
  /** Local files are as new as the machine's clock says; the log's is another. */
  nowMs = Date.now() + 600_000;

  constructor(history: RecordedHistory, archive: TestArchive) {
    [this.history, this.archive] = [history, archive];
    this.locks = new ArchiveLocks(archive.store);
    this.retention = this.openRetention();
  }

  static async create(
    kind: (typeof kinds)[number],
    changes: Partial<S3StoreOptions> = {},
    of: Partial<S3Options> = {},
  ): Promise<World> {
    const history = await RecordedHistory.create();
    return new World(history, await openArchive(kind, changes, of));
  }

  get evidence(): string {
    return this.history.fixture.directory;
  }

  readonly logger = {
    info: (event: string) => void this.told.push(event),
    warn: (event: string) => void this.told.push(event),
    error: (event: string) => void this.told.push(event),
  };

  /** @param covered what tells that a checkpoint covers an erasure; default: the log */
  openRetention(covered: RetentionOptions['log'] = this.history.fixture.log): Retention {
    const { log } = this.history.fixture;
    const clock = { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs };
    return new Retention({
      directory: this.evidence,
      rules: resolveRetention(RetentionFile.parse({})),
      append: (entry) => log.append(entry),
      log: covered,
      locks: this.locks,
      clock,
      logger: this.logger,
    });
  }

  cursor(): Promise<Cursor> {
    return Cursor.open(
      path.join(this.scratch, 'cursor.json'),
      { log: 'relay.example/log', to: this.archive.store.text },
      0,
    );
  }

  /** As a relay would that was started again: it knows nothing but the cursor. */
  async carrier(
    signal = new AbortController().signal,
    store: ArchiveStore = this.archive.store,
  ): Promise<Carrier> {
    return new Carrier({
      evidence: this.evidence,
      store,
      cursor: await this.cursor(),
      retention: this.retention,
      locks: this.locks,
      logger: this.logger,
      signal,
      onLost: () => {
        this.lost += 1;
      },
      onCarried: () => undefined,
    });
  }

  async carry(): Promise<void> {
    await this.history.fixture.log.checkpoint();
    await (await this.carrier()).carry(true);
  }

  copies(changes: Partial<Pick<LocalCopiesOptions, 'files' | 'store'>> = {}): LocalCopies {
    const { evidence, retention, keepLocalMs, logger } = this;
    const { store } = this.archive;
    return new LocalCopies({
      evidence,
      store,
      retention,
      keepLocalMs,
      clock: { wallMs: () => this.nowMs },
      logger,
      ...changes,
    });
  }

  sweep(): Promise<number> {
    return this.copies().sweep(new AbortController().signal);
  }

  here(session: LiveSession): boolean {
    return existsSync(path.join(this.evidence, this.directory(session)));
  }

  directory({ of }: LiveSession): string {
    return sessionPath(of.openedAtMs, of.session);
  }

  get readable(): Location {
    return new StoredAt(new ArchivedEvidence(this.evidence, this.archive.store, this.retention));
  }

  async codesOf(directory: string): Promise<string[]> {
    const { fixture } = this.history;
    const { findings } = await verify({ directory, vkey: fixture.vkey });
    return findings.map(({ code }) => code).filter((code) => code !== 'session-unfinished');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.retention.close();
    await this.archive[Symbol.asyncDispose]();
    await this.history[Symbol.asyncDispose]();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** The store, with something that happens before its files are read or put. */
export function storeWith(
  store: ArchiveStore,
  before: { read?: (name: string) => Promise<void>; put?: (name: string) => Promise<void> },
): ArchiveStore {
  return {
    text: store.text,
    lockMs: store.lockMs,
    holds: (file, readBack) => store.holds(file, readBack),
    put: async (file) => {
      await before.put?.(file.name);
      return store.put(file);
    },
    lock: (name) => store.lock(name),
    list: (directory) => store.list(directory),
    names: (directory) => store.names(directory),
    hidden: (file, limitBytes) => store.hidden(file, limitBytes),
    remove: (name) => store.remove(name),
    lockedUntil: (name) => store.lockedUntil(name),
    close: () => store.close(),
    read: async (name, limitBytes) => {
      await before.read?.(name);
      return store.read(name, limitBytes);
    },
  };
}

/** What `fsck` finds, or mends. */
export async function problemsOf(world: World, repair = false): Promise<FsckFinding[]> {
  const archive = { store: world.archive.store, next: (await world.cursor()).next };
  const findings: FsckFinding[] = [];
  for await (const finding of fsck({ evidence: world.evidence, archive, repair, readBack: false }))
    findings.push(finding);
  return findings;
}

/** Sessions, some of whose answers were masked; the last one goes on. */
export async function people(world: World): Promise<LiveSession[]> {
  const { history } = world;
  const [ana, ben] = [await history.fixture.signIn('ana'), await history.fixture.signIn('ben')];
  const sessions = [await history.open(ana), await history.open(ben), await history.open(ana)];
  for (const [at, session] of sessions.entries())
    for (let i = 0; i < 3; i++) {
      history.command(session, `select ${i} from cards`, { masked: at !== 1, rowBytes: 300_000 });
      session.recorder.flush();
    }
  await history.close(sessions[0]!);
  await history.close(sessions[1]!);
  return sessions;
}
