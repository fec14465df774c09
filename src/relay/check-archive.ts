/** What of `evidence.archive` can be wrong before a relay starts. */
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../errors.ts';
import { openStore } from './archive/archive.ts';
import type { ArchiveConfig } from './config/archive.ts';
import type { RelayConfig } from './config/config.ts';

/** Whatever it reads when it asks can be read. @throws ConfigError of a secret, ArchiveError of a program, Error of a system call */
export async function checkArchive(
  { place }: ArchiveConfig,
  { evidence: { retention } }: Pick<RelayConfig, 'evidence'>,
): Promise<string | { readonly warnings: readonly string[] }> {
  if (place.kind === 'directory') return checkDirectory(place.directory);
  const { credentials, ca, lock, endpoint, bucket } = place.s3;
  await credentials();
  ca?.();
  const kept = [retention.all, ...retention.targets.values()].flatMap(
    ({ recordingsMs }) => recordingsMs ?? [],
  );
  const shortest = Math.min(...kept);
  if (lock !== null && shortest < lock.retainMs)
    return {
      warnings: ['evidence.retention is shorter than the lock: recordings are kept until the lock ends'],
    };
  if (lock === null)
    return {
      warnings: ['no lock: whoever may write to the bucket may remove recordings that are not here any more'],
    };
  return `${endpoint}, bucket ${bucket}`;
}

async function checkDirectory(directory: string): Promise<string> {
  try {
    await stat(directory);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    await access(path.dirname(directory), constants.W_OK);
    return `${directory} will be made`;
  }
  await access(directory, constants.W_OK | constants.X_OK);
  return directory;
}

/** Asks it for the log's checkpoint, whether there is one or not. @throws ArchiveError */
export async function reachArchive(
  archive: ArchiveConfig,
  config: Pick<RelayConfig, 'log'>,
): Promise<string> {
  const store = openStore(archive, config);
  try {
    const checkpoint = await store.read('log/checkpoint', 65_536);
    return checkpoint === null ? 'answers; nothing is there yet' : 'answers, and has the log';
  } finally {
    store.close();
  }
}
