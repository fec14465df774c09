/**
 * Originals that an auditor has sealed to others. How a file takes the place of a segment's age file, each step durable before
 * the next, so that a relay may die behind any of them:
 *
 * 1. `<index>.age.tmp` holds it. Died here: the log does not name it, and it means nothing.
 * 2. The log's `originals.resealed` names both digests, then a signed checkpoint covers that. Died here: the old file still
 *    stands there, which verification tells from a wrong one; the next start goes on with step 3.
 * 3. It is renamed to `<index>.age`, and the directory synced.
 *
 * The relay cannot see what is in either file. A hold therefore forbids resealing, as it forbids erasing.
 */
import { hash } from 'node:crypto';
import path from 'node:path';
import { decodeEntry, type EntryOf, type NewEntry, type UnstampedEntry } from '../../evidence/entry.ts';
import type { Log } from '../../evidence/log/log.ts';
import { readEntries as readLeaves } from '../../evidence/log/read.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import type { KeptSession } from '../../evidence/read/kept.ts';
import { parseRecipient } from '../../evidence/recording/age.ts';
import { ageShape } from '../../evidence/recording/age-shape.ts';
import { originalsName, sessionPath, unfinishedOriginalsName } from '../../evidence/recording/layout.ts';
import { durableFiles, type DurableFiles } from '../../system/durable-file.ts';
import { RelayError } from '../error.ts';
import type { RelayLogger } from '../logging.ts';
import type { Retention } from './retention.ts';

export type Resealed = Extract<UnstampedEntry, { kind: 'originals.resealed' }>;

export interface ResealingOptions {
  /** The evidence directory. */
  readonly directory: string;
  readonly append: (entry: NewEntry) => Promise<unknown>;
  readonly log: Pick<Log, 'covered'>;
  readonly retention: Pick<Retention, 'undisturbed'>;
  /** Brings a recording back that is in the archive alone. */
  readonly recall?: (session: string) => Promise<void>;
  readonly logger: Pick<RelayLogger, 'warn' | 'error'>;
  /** Default: the disk's. */
  readonly files?: DurableFiles;
}

export class Resealing {
  readonly #options: ResealingOptions;
  readonly #files: DurableFiles;
  #last = new DigestsOf('');

  constructor(options: ResealingOptions) {
    this.#options = options;
    this.#files = options.files ?? durableFiles;
  }

  /** Puts in place what the run before told and did not. */
  start(): void {
    this.settle().catch((error: unknown) => this.#options.logger.error('resealing not settled', {}, error));
  }

  async settle(): Promise<void> {
    /** New digests by session and segment. */
    const told = new Map<string, Map<number, string>>();
    // Few entries are about this: the others are not worth decoding at each start.
    const about = Buffer.from('"kind":"originals.resealed"');
    for await (const { bytes } of readLeaves(path.join(this.#options.directory, 'log'))) {
      const decoded = bytes.includes(about) ? decodeEntry(bytes) : null;
      if (decoded?.state !== 'known' || decoded.entry.kind !== 'originals.resealed') continue;
      const { entry } = decoded;
      const of = told.get(entry.session) ?? new Map<number, string>();
      told.set(entry.session, of.set(entry.segment, entry.to));
    }
    if (told.size > 0) await this.#covered();
    for (const [session, segments] of told)
      for (const [segment, digest] of segments)
        if (await this.#publish({ session, segment }, digest))
          this.#options.logger.warn('resealed originals put in place', { session, segment });
  }

  /**
   * Resolves when the file is in its place.
   * @param age has the digest that the entry names as `to`
   * @throws RelayError `reseal-refused`, `evidence-unavailable`; what `append` throws; Error of a system call
   */
  async replace(entry: Resealed, age: Buffer): Promise<void> {
    const { append, retention, recall } = this.#options;
    await recall?.(entry.session);
    await retention.undisturbed(entry.session, async (session, hold) => {
      if (session === null || session.closedAt === null) throw refused('its session is not over');
      if (hold !== null) throw refused(`hold ${hold.hold} forbids changing its files`);
      if (session.erased.size > 0) throw refused('they were erased');
      const place = this.#place(session, entry.segment);
      const digest = await this.#digestOf(entry);
      if (digest === undefined) throw refused('there are none in this segment');
      if (entry.from !== digest) throw refused('they were sealed anew meanwhile');
      const before = await this.#files.read(place.file);
      if (before === null || hash('sha256', before, 'hex') !== digest)
        throw refused('the file is not the one that the log names');
      checkShape(entry, age, before);
      await this.#write(place, age);
      await append(entry);
    });
    await this.#covered();
    await this.#publish(entry, entry.to);
  }

  /** What nobody signed goes into its place at the next start. @throws RelayError `evidence-unavailable` */
  async #covered(): Promise<void> {
    const late = AbortSignal.timeout(coveredMs);
    await this.#options.log.covered(late);
    if (late.aborted)
      throw new RelayError('evidence-unavailable', 'The log’s key does not sign what was resealed.');
  }

  #place({ session, openedAt }: KeptSession, segment: number): Place {
    const directory = path.join(this.#options.directory, sessionPath(Date.parse(openedAt), session));
    return {
      directory,
      file: path.join(directory, originalsName(segment)),
      unfinished: path.join(directory, unfinishedOriginalsName(segment)),
    };
  }

  /** Step 1. */
  async #write({ directory, unfinished }: Place, age: Buffer): Promise<void> {
    const file = await this.#files.create(unfinished);
    try {
      await file.append(age);
      await file.sync();
    } catch (error) {
      // On a full disk half a file would only make it fuller.
      await this.#files.remove(unfinished).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
    await this.#files.syncDirectory(directory);
  }

  /** Step 3, if the file of this digest waits for it. */
  #publish(
    { session: id, segment }: Pick<Resealed, 'session' | 'segment'>,
    digest: string,
  ): Promise<boolean> {
    return this.#options.retention.undisturbed(id, async (session) => {
      if (session === null || session.erased.size > 0) return false;
      const { directory, file, unfinished } = this.#place(session, segment);
      const written = await this.#files.read(unfinished);
      if (written === null || hash('sha256', written, 'hex') !== digest) return false;
      await this.#files.rename(unfinished, file);
      await this.#files.syncDirectory(directory);
      return true;
    });
  }

  /** The digest that counts for a segment's age file, as the log says now. */
  async #digestOf({ session, segment }: Resealed): Promise<string | undefined> {
    if (this.#last.session !== session) this.#last = new DigestsOf(session);
    await this.#last.catchUp(this.#options.directory);
    return this.#last.digests.get(segment);
  }
}

/** As long as an operator who erases waits for a checkpoint. */
const coveredMs = 30_000;

interface Place {
  readonly directory: string;
  readonly file: string;
  readonly unfinished: string;
}

/** What the log says of a session's age files. An auditor takes one segment after another, so the last session's are kept. */
class DigestsOf {
  readonly session: string;
  /** By segment. */
  readonly digests = new Map<number, string>();
  #next = 0;

  constructor(session: string) {
    this.session = session;
  }

  async catchUp(evidence: string): Promise<void> {
    for await (const { index, entry } of readEntries(evidence, this.#next)) {
      this.#next = index + 1;
      if (!isAboutOriginals(entry) || entry.session !== this.session) continue;
      if (entry.kind === 'originals.resealed') this.digests.set(entry.segment, entry.to);
      else if (entry.sealed !== null) this.digests.set(entry.index, entry.sealed);
    }
  }
}

const isAboutOriginals = (entry: { kind: string }): entry is EntryOf<'segment' | 'originals.resealed'> =>
  entry.kind === 'segment' || entry.kind === 'originals.resealed';

/** As far as it can be told without an identity. */
function checkShape({ recipients }: Resealed, age: Buffer, before: Buffer): void {
  const [is, was] = [ageShape(age), ageShape(before)];
  if (is === null) throw refused('what should take their place is no age file');
  if (
    new Set(recipients).size !== recipients.length ||
    recipients.some((one) => parseRecipient(one) === null)
  )
    throw refused('a recipient is none, or is named twice');
  if (is.recipients !== recipients.length) throw refused('the file is not sealed to as many as were signed');
  if (is.payloadBytes !== was?.payloadBytes)
    throw refused('what should take their place is longer or shorter');
}

const refused = (why: string): RelayError =>
  new RelayError('reseal-refused', `These originals are not sealed anew: ${why}.`);
