/** Puts a file into the archive until the archive has confirmed it: its digest and, where there are locks, its lock. */
import { ArchiveError } from './error.ts';
import type { ArchivedFile, ArchiveStore, FileDigest } from './store.ts';

/** What was not there before. @throws ArchiveError */
export async function keep(store: ArchiveStore, file: ArchivedFile): Promise<{ readonly bytes: number }> {
  const before = await store.holds(file);
  if (before.state === 'held') return { bytes: 0 };
  if (before.state === 'unlocked') await store.lock(file.name);
  else await store.put(file);
  const { state } = await store.holds(file);
  if (state !== 'held')
    throw new ArchiveError('archive-mismatch', `the archive does not confirm ${file.name}: ${state}`);
  return { bytes: before.state === 'unlocked' ? 0 : file.bytes };
}

export const isHeld = async (store: ArchiveStore, file: FileDigest): Promise<boolean> =>
  (await store.holds(file)).state === 'held';
