/** Archives for tests: a directory, and an S3 bucket of a server that refuses what S3 refuses. */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DirectoryStore } from '../../../src/relay/archive/directory-store.ts';
import { S3Store, type S3StoreOptions } from '../../../src/relay/archive/s3/s3-store.ts';
import type { ArchiveStore } from '../../../src/relay/archive/store.ts';
import { S3Server, type S3Options } from '../../support/s3/s3-server.ts';

export const keys = { accessKeyId: 'AKIDHOOPTESTS', secretAccessKey: 'a/secret+of=the tests' } as const;
const log = 'relay.example/log';
const prefix = 'relay-1/';

export interface TestArchive extends AsyncDisposable {
  readonly kind: 'directory' | 's3';
  readonly store: ArchiveStore;
  /** An evidence directory of what it holds. */
  asDirectory(): Promise<string>;
  /** As somebody at the store would, past every lock. */
  replace(name: string, bytes: Buffer): Promise<void>;
  /** Null: of the directory. */
  readonly server: S3Server | null;
}

export const kinds = ['directory', 's3'] as const;

export async function openArchive(
  kind: (typeof kinds)[number],
  changes: Partial<S3StoreOptions> = {},
  of: Partial<S3Options> = {},
): Promise<TestArchive> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'hoop-archive-'));
  const removed = (): void => rmSync(scratch, { recursive: true, force: true });
  if (kind === 'directory') {
    const directory = path.join(scratch, 'archive');
    const store = new DirectoryStore(directory, log);
    await store.begin();
    return {
      kind,
      store,
      server: null,
      asDirectory: () => Promise.resolve(directory),
      replace: async (name, bytes) => {
        rmSync(path.join(directory, name), { force: true });
        await writeFile(path.join(directory, name), bytes);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(removed()),
    };
  }
  const server = await S3Server.start({ bucket: 'evidence', region: 'eu-test-1', ...keys, ...of });
  const store = new S3Store({
    endpoint: server.url,
    pathStyle: true,
    region: 'eu-test-1',
    bucket: 'evidence',
    prefix,
    credentials: () => Promise.resolve(keys),
    ca: null,
    retryMs: 2,
    lock: null,
    encryption: null,
    partBytes: 16 * 1024 * 1024,
    ...changes,
  });
  return {
    kind,
    store,
    server,
    asDirectory: async () => {
      const directory = path.join(scratch, 'synced');
      rmSync(directory, { recursive: true, force: true });
      for (const key of server.keys()) {
        const file = path.join(directory, key.slice(prefix.length));
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, server.object(key)!.bytes);
      }
      return directory;
    },
    replace: async (name, bytes) => server.tamper.replace(`${prefix}${name}`, bytes),
    [Symbol.asyncDispose]: async () => {
      store.close();
      await server[Symbol.asyncDispose]();
      removed();
    },
  };
}

export const keyOf = (name: string): string => `${prefix}${name}`;
