/** The evidence directory with what is in the archive alone: what reads evidence finds it as if it were here. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { listIfThere, sizeIfThere, type Listed, type StoredFiles } from '../../evidence/location.ts';
import { readIfThere } from '../../evidence/regular-file.ts';
import { parseEvidencePath } from '../../evidence/read/files.ts';
import type { KeptSession } from '../../evidence/read/kept.ts';
import { parseName } from '../../evidence/recording/layout.ts';
import type { Retention } from '../retention/retention.ts';
import { RelayError } from '../error.ts';
import { ArchiveError } from './error.ts';
import type { ArchiveStore, StoredFile } from './store.ts';

const mostStrange = 10_000;

export class ArchivedEvidence implements StoredFiles {
  readonly #evidence: string;
  readonly #store: Pick<ArchiveStore, 'read' | 'list'>;
  readonly #retention: Pick<Retention, 'session'>;
  /** Whoever asks for one size asks for the others. `of`: whose, and as sealed how: sizes change with that alone. */
  #listed: { readonly of: string; readonly files: readonly StoredFile[] } | null = null;

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
    const here = (): Promise<Buffer | null> => readIfThere(path.join(this.#evidence, name), limitBytes);
    const local = await here();
    if (local !== null) return local;
    const where = await this.#where(path.posix.dirname(name), name);
    if (where === null) return null;
    return where === 'here' ? here() : answered(this.#store.read(name, limitBytes));
  }

  /** @throws as `read` */
  async list(directory: string): Promise<readonly Listed[]> {
    const here = (): Promise<readonly Listed[]> => listIfThere(path.join(this.#evidence, directory));
    const local = await here();
    if (local.length > 0) return local;
    const where = await this.#where(directory, directory);
    if (where === null) return [];
    return where === 'here' ? here() : (await this.#stored(directory, where)).map(asListed);
  }

  /** @throws as `read` */
  async size(name: string): Promise<number | null> {
    const here = (): Promise<number | null> => sizeIfThere(path.join(this.#evidence, name));
    const local = await here();
    if (local !== null) return local;
    const directory = path.posix.dirname(name);
    const where = await this.#where(directory, name);
    if (where === null) return null;
    if (where === 'here') return here();
    const of = `${directory} ${[...where.resealed].join(' ')}`;
    if (this.#listed?.of !== of) this.#listed = { of, files: await this.#stored(directory, where) };
    return this.#listed.files.find((file) => file.name === name)?.bytes ?? null;
  }

  /** Only what the recording has by the log's account: others may put names there, without end. */
  async #stored(
    directory: string,
    { segments, erased }: Pick<KeptSession, 'segments' | 'erased'>,
  ): Promise<readonly StoredFile[]> {
    const all = async (): Promise<readonly StoredFile[]> => {
      const files: StoredFile[] = [];
      let strange = 0;
      for await (const file of this.#store.list(directory)) {
        const parsed =
          parseEvidencePath(file.name) === null ? null : parseName(path.posix.basename(file.name));
        if (parsed === null || parsed.index >= segments || path.posix.dirname(file.name) !== directory) {
          if (++strange > mostStrange)
            throw new ArchiveError(
              'archive-mismatch',
              `too many files that are not evidence in ${directory}`,
            );
        } else if (parsed.state !== 'originals' || !erased.has('originals')) files.push(file);
      }
      return files;
    };
    return answered(all());
  }

  /**
   * A session's directory is here as a whole, or not at all; what was erased is nowhere: null.
   * `here`: also when it came back after somebody looked for it in vain.
   */
  async #where(directory: string, name: string): Promise<'here' | KeptSession | null> {
    const session = /^recordings\/\d{4}\/\d\d\/\d\d\/([^/]+)$/.exec(directory)?.[1];
    if (session === undefined) return null;
    if (await isThere(path.join(this.#evidence, directory))) return 'here';
    const kept = await this.#retention.session(session);
    if (kept === null || kept.closedAt === null || kept.erased.has('recording')) return null;
    return name.endsWith('.age') && kept.erased.has('originals') ? null : kept;
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
