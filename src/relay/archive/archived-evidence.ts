/** The evidence directory with what is in the archive alone: what reads evidence finds it as if it were here. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { listIfThere, sizeIfThere, type Listed, type StoredFiles } from '../../evidence/location.ts';
import { readIfThere } from '../../evidence/regular-file.ts';
import type { Retention } from '../retention/retention.ts';
import { RelayError } from '../error.ts';
import type { ArchiveStore, StoredFile } from './store.ts';

export class ArchivedEvidence implements StoredFiles {
  readonly #evidence: string;
  readonly #store: Pick<ArchiveStore, 'read' | 'list'>;
  readonly #retention: Pick<Retention, 'session'>;
  /** Whoever asks for one size asks for the others. */
  #listed: { readonly directory: string; readonly files: readonly StoredFile[] } | null = null;

  /** @param evidence directory */
  constructor(
    evidence: string,
    store: Pick<ArchiveStore, 'read' | 'list'>,
    retention: Pick<Retention, 'session'>,
  ) {
    this.#evidence = evidence;
    this.#store = store;
    this.#retention = retention;
  }

  /** @throws RelayError `evidence-unavailable`: the archive does not answer, or not with this */
  async read(name: string, limitBytes: number): Promise<Buffer | null> {
    const local = await readIfThere(path.join(this.#evidence, name), limitBytes);
    if (local !== null || !(await this.#isElsewhere(path.posix.dirname(name), name))) return local;
    return answered(this.#store.read(name, limitBytes));
  }

  /** @throws as `read` */
  async list(directory: string): Promise<readonly Listed[]> {
    const local = await listIfThere(path.join(this.#evidence, directory));
    if (local.length > 0 || !(await this.#isElsewhere(directory, directory))) return local;
    return (await this.#stored(directory)).map(asListed);
  }

  /** @throws as `read` */
  async size(name: string): Promise<number | null> {
    const local = await sizeIfThere(path.join(this.#evidence, name));
    const directory = path.posix.dirname(name);
    if (local !== null || !(await this.#isElsewhere(directory, name))) return local;
    if (this.#listed?.directory !== directory)
      this.#listed = { directory, files: await this.#stored(directory) };
    return this.#listed.files.find((file) => file.name === name)?.bytes ?? null;
  }

  async #stored(directory: string): Promise<readonly StoredFile[]> {
    const all = async (): Promise<readonly StoredFile[]> => {
      const files: StoredFile[] = [];
      for await (const file of this.#store.list(directory)) files.push(file);
      return files;
    };
    return answered(all());
  }

  /** A session's directory is here as a whole, or not at all; what was erased is nowhere. */
  async #isElsewhere(directory: string, name: string): Promise<boolean> {
    const session = /^recordings\/\d{4}\/\d\d\/\d\d\/([^/]+)$/.exec(directory)?.[1];
    if (session === undefined || (await isThere(path.join(this.#evidence, directory)))) return false;
    const kept = await this.#retention.session(session);
    if (kept === null || kept.closedAt === null || kept.erased.has('recording')) return false;
    return !(name.endsWith('.age') && kept.erased.has('originals'));
  }
}

/** What the archive's error says is for the operator. @throws RelayError `evidence-unavailable` */
export async function answered<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    throw new RelayError('evidence-unavailable', 'The archive of recordings does not answer.', { cause });
  }
}

const asListed = ({ name }: StoredFile): Listed => ({
  name: path.posix.basename(name),
  isFile: () => true,
  isDirectory: () => false,
});

async function isThere(directory: string): Promise<boolean> {
  try {
    await stat(directory);
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
