/**
 * An archive in an S3 bucket, with Object Lock where it is configured: what is put there can be changed or removed by nobody
 * until the lock ends, in compliance mode not even by the account's owner. S3 keeps versions then: one that is put again is
 * a newer version, and the older ones stay.
 */
import { createHash, hash } from 'node:crypto';
import { ArchiveError } from '../error.ts';
import type { ArchivedFile, ArchiveStore, FileDigest, Holding, StoredFile } from '../store.ts';
import { base64Sha256, isPlainKey, S3Client, S3Refusal, type S3Answer, type S3Place } from './client.ts';
import {
  completion,
  isCompleted,
  readObjects,
  readUploadId,
  readVersions,
  retention,
  type ListedVersion,
  type UploadedPart,
} from './xml.ts';

export interface S3StoreOptions extends S3Place {
  /** Before every name; empty, or with a slash at its end. */
  readonly prefix: string;
  readonly lock: ObjectLock | null;
  readonly encryption: S3Encryption | null;
  /** Larger files go in parts of this size; at least 5 MiB. */
  readonly partBytes: number;
}

export interface ObjectLock {
  readonly mode: 'compliance' | 'governance';
  /** From when it is put. */
  readonly retainMs: number;
}

/** With S3's own keys, or with one of its key management service; `keyId` null: the account's default. */
export type S3Encryption =
  { readonly kind: 'AES256' } | { readonly kind: 'aws:kms'; readonly keyId: string | null };

/** S3 may leave a page of a listing empty. */
const mostEmptyPages = 100;

export class S3Store implements ArchiveStore {
  readonly text: string;
  readonly lockMs: number | null;
  readonly #options: S3StoreOptions;
  readonly #client: S3Client;

  constructor(options: S3StoreOptions) {
    const { endpoint, bucket, prefix } = options;
    this.text = `s3 ${endpoint}/${bucket}/${prefix}`;
    this.lockMs = options.lock?.retainMs ?? null;
    this.#options = options;
    this.#client = new S3Client(options);
  }

  async holds({ name, sha256 }: FileDigest, readBack = false): Promise<Holding> {
    const answer = await this.#head(name);
    if (answer === null) return { state: 'absent' };
    const told = readBack ? null : digestIn(answer);
    const digest = told ?? (await this.#readBack(name));
    if (digest === null) return { state: 'absent' };
    if (digest !== sha256) return { state: 'other' };
    const { lock } = this.#options;
    if (lock === null) return { state: 'held', lockedUntil: null };
    const kept = lockIn(answer);
    const mode = lock.mode === 'governance' || kept?.mode === 'COMPLIANCE';
    return kept !== null && mode ? { state: 'held', lockedUntil: kept.until } : { state: 'unlocked' };
  }

  async put(file: ArchivedFile): Promise<void> {
    if (file.bytes > this.#options.partBytes) return this.#putInParts(file);
    const body = await file.read(0, file.bytes);
    if (hash('sha256', body, 'hex') !== file.sha256)
      throw new ArchiveError('archive-mismatch', `${file.name} is not what the log names`);
    const headers = { ...this.#kept(), 'x-amz-checksum-sha256': base64Sha256(body) };
    present(await this.#client.send({ method: 'PUT', key: this.#key(file.name), headers, body }));
  }

  async lock(name: string): Promise<void> {
    const { lock } = this.#options;
    if (lock === null) return;
    const body = retention(lock.mode.toUpperCase(), untilOf(lock));
    const headers = { 'x-amz-checksum-sha256': base64Sha256(body) };
    present(
      await this.#client.send({
        method: 'PUT',
        key: this.#key(name),
        query: { retention: '' },
        headers,
        body,
      }),
    );
  }

  async read(name: string, limitBytes: number): Promise<Buffer | null> {
    const answer = await this.#client.send({ method: 'GET', key: this.#key(name), limitBytes });
    return answer.status === 404 ? null : answer.body;
  }

  async *list(directory: string): AsyncGenerator<StoredFile> {
    const query = { 'list-type': '2', prefix: this.#key(`${directory}/`) };
    let [next, last, idle]: [string | null, string, number] = [null, '', 0];
    do {
      const page: S3Answer = present(
        await this.#client.send({
          method: 'GET',
          key: '',
          query: { ...query, ...(next !== null && { 'continuation-token': next }) },
        }),
      );
      const { objects, next: more } = readObjects(page.body);
      idle = objects.length === 0 ? idle + 1 : 0;
      for (const { key, bytes } of objects) {
        // Else it could go on for ever.
        if (Buffer.compare(Buffer.from(last), Buffer.from(key)) >= 0) throw unordered();
        last = key;
        if (key.startsWith(query.prefix)) yield { name: key.slice(this.#options.prefix.length), bytes };
      }
      if (idle > mostEmptyPages) throw unordered();
      next = more;
    } while (next !== null);
  }

  async *names(directory: string): AsyncGenerator<string> {
    const told = new Set<string>();
    const { prefix } = this.#options;
    for await (const { key } of this.#versionsBelow(this.#key(`${directory}/`))) {
      // What is not named like evidence is none; it stays, and `fsck` tells it.
      if (told.has(key) || !isPlainKey(key)) continue;
      told.add(key);
      yield key.slice(prefix.length);
    }
  }

  async hidden({ name, sha256 }: FileDigest, limitBytes: number): Promise<Buffer | null> {
    for await (const { key, versionId, isMarker } of this.#versions(name)) {
      if (isMarker) continue;
      const answer = await this.#client.send({ method: 'GET', key, query: { versionId }, limitBytes });
      if (answer.status !== 404 && hash('sha256', answer.body, 'hex') === sha256) return answer.body;
    }
    return null;
  }

  async remove(name: string): Promise<void> {
    for await (const { key, versionId } of this.#versions(name)) {
      try {
        await this.#client.send({ method: 'DELETE', key, query: { versionId } });
      } catch (error) {
        if (
          error instanceof S3Refusal &&
          error.status === 403 &&
          (await this.#lockOf(key, versionId)) !== null
        )
          throw new ArchiveError('archive-locked', `${name} is locked`, { cause: error });
        throw error;
      }
    }
  }

  async lockedUntil(name: string): Promise<Date | null> {
    let latest: Date | null = null;
    for await (const { key, versionId } of this.#versions(name)) {
      const until = await this.#lockOf(key, versionId);
      if (until !== null && (latest === null || until > latest)) latest = until;
    }
    return latest;
  }

  close(): void {
    this.#client.close();
  }

  #key(name: string): string {
    return `${this.#options.prefix}${name}`;
  }

  /** How everything that is put is to be kept. */
  #kept(): Record<string, string> {
    const { lock, encryption } = this.#options;
    return {
      ...(lock !== null && {
        'x-amz-object-lock-mode': lock.mode.toUpperCase(),
        'x-amz-object-lock-retain-until-date': untilOf(lock),
      }),
      ...(encryption !== null && { 'x-amz-server-side-encryption': encryption.kind }),
      ...(encryption?.kind === 'aws:kms' &&
        encryption.keyId !== null && { 'x-amz-server-side-encryption-aws-kms-key-id': encryption.keyId }),
    };
  }

  async #head(name: string): Promise<S3Answer | null> {
    const headers = { 'x-amz-checksum-mode': 'ENABLED' };
    const answer = await this.#client.send({ method: 'HEAD', key: this.#key(name), headers });
    return answer.status === 404 ? null : answer;
  }

  /** Of a store that tells no digest, and of what was put in parts. Hexadecimal; null: it is not there. */
  async #readBack(name: string): Promise<string | null> {
    const digest = createHash('sha256');
    const answer = await this.#client.send({
      method: 'GET',
      key: this.#key(name),
      take: (piece) => digest.update(piece),
    });
    return answer.status === 404 ? null : digest.digest('hex');
  }

  async *#versions(name: string): AsyncGenerator<ListedVersion> {
    const key = this.#key(name);
    for await (const version of this.#versionsBelow(key)) if (version.key === key) yield version;
  }

  async *#versionsBelow(prefix: string): AsyncGenerator<ListedVersion> {
    let next: Record<string, string> | null = {};
    while (next !== null) {
      const query: Record<string, string> = { versions: '', prefix, ...next };
      const page = present(await this.#client.send({ method: 'GET', key: '', query }));
      const { versions, next: more } = readVersions(page.body);
      for (const version of versions) if (version.key.startsWith(prefix)) yield version;
      if (more !== null && JSON.stringify(more) === JSON.stringify(next)) throw unordered();
      next = more;
    }
  }

  /** Null: nothing locks it any more. */
  async #lockOf(key: string, versionId: string): Promise<Date | null> {
    // One that only marks a removal answers 405, and is never locked.
    const answer = await this.#client
      .send({ method: 'HEAD', key, query: { versionId } })
      .catch((error: unknown) => {
        if (error instanceof S3Refusal && error.status === 405) return null;
        throw error;
      });
    const until = answer === null || answer.status === 404 ? null : (lockIn(answer)?.until ?? null);
    return until !== null && until.getTime() > Date.now() ? until : null;
  }

  /** A digest of the whole is checked before: of an upload in parts S3 knows only those of its parts. */
  async #putInParts(file: ArchivedFile): Promise<void> {
    const { partBytes } = this.#options;
    const whole = createHash('sha256');
    for (let at = 0; at < file.bytes; at += partBytes)
      whole.update(await file.read(at, Math.min(partBytes, file.bytes - at)));
    if (whole.digest('hex') !== file.sha256)
      throw new ArchiveError('archive-mismatch', `${file.name} is not what the log names`);
    const key = this.#key(file.name);
    const begun = await this.#client.send({
      method: 'POST',
      key,
      query: { uploads: '' },
      headers: { ...this.#kept(), 'x-amz-checksum-algorithm': 'SHA256' },
    });
    const uploadId = readUploadId(present(begun).body);
    try {
      const parts: UploadedPart[] = [];
      for (let at = 0; at < file.bytes; at += partBytes)
        parts.push(
          await this.#putPart(
            key,
            uploadId,
            parts.length + 1,
            await file.read(at, Math.min(partBytes, file.bytes - at)),
          ),
        );
      const done = present(
        await this.#client.send({ method: 'POST', key, query: { uploadId }, body: completion(parts) }),
      );
      if (!isCompleted(done.body))
        throw new ArchiveError('archive-unreachable', 'the upload was not completed');
    } catch (error) {
      // Parts that belong to nothing are kept, and paid for, until somebody removes them.
      await this.#client.send({ method: 'DELETE', key, query: { uploadId } }).catch(() => undefined);
      throw error;
    }
  }

  async #putPart(key: string, uploadId: string, number: number, body: Buffer): Promise<UploadedPart> {
    const sha256 = base64Sha256(body);
    const { headers } = present(
      await this.#client.send({
        method: 'PUT',
        key,
        query: { partNumber: `${number}`, uploadId },
        headers: { 'x-amz-checksum-sha256': sha256 },
        body,
      }),
    );
    return { etag: headers['etag'] ?? '', sha256 };
  }
}

/** S3 takes whole seconds. */
function untilOf({ retainMs }: ObjectLock): string {
  return new Date(Date.now() + retainMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

const unordered = (): ArchiveError =>
  new ArchiveError('archive-refused', 'the archive’s listing does not come to an end');

function present(answer: S3Answer): S3Answer {
  if (answer.status !== 404) return answer;
  throw new ArchiveError('archive-refused', 'the archive knows nothing of this name');
}

/** Hexadecimal; null when it is told of the parts alone, or not at all. */
function digestIn({ headers }: S3Answer): string | null {
  const told = headers['x-amz-checksum-sha256'];
  return told !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(told)
    ? Buffer.from(told, 'base64').toString('hex')
    : null;
}

function lockIn({ headers }: S3Answer): { readonly mode: string; readonly until: Date } | null {
  const mode = headers['x-amz-object-lock-mode'];
  const until = new Date(headers['x-amz-object-lock-retain-until-date'] ?? Number.NaN);
  return mode === undefined || Number.isNaN(until.getTime()) ? null : { mode, until };
}
