/**
 * The one bucket, in memory: keys, their versions and delete markers, what is locked until when, uploads in parts. Knows what
 * Object Lock forbids (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html), and nothing of HTTP.
 */
import { randomBytes } from 'node:crypto';
import { S3Error } from './error.ts';

export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  readonly until: Date;
}

export interface Checksum {
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

/** What a client says about an object when it puts it, or begins to put it in parts. */
export interface Description {
  /** Names as they come back: content-type, x-amz-meta-*, encryption, storage class. */
  readonly headers: Readonly<Record<string, string>>;
  readonly retention: Retention | null;
}

export interface StoredObject extends Description {
  bytes: Buffer;
  readonly etag: string;
  readonly checksum: Checksum | null;
  retention: Retention | null;
}

export interface Version {
  readonly id: string;
  readonly modified: Date;
  /** Null: a delete marker. */
  readonly object: StoredObject | null;
}

export interface Part {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly checksum: string | null;
  readonly modified: Date;
}

export interface Upload {
  readonly key: string;
  readonly description: Description;
  readonly checksummed: boolean;
  readonly parts: Map<number, Part>;
}

export class Bucket {
  readonly name: string;
  readonly region: string;
  readonly objectLock: boolean;
  readonly pageSize: number;
  readonly nowMs: () => number;
  readonly uploads = new Map<string, Upload>();
  /** Newest version first. */
  readonly #keys = new Map<string, Version[]>();
  /** Of every version there ever was: pages of a listing go on behind one that is gone. */
  readonly #sequence = new Map<string, number>();

  constructor(options: Pick<Bucket, 'name' | 'region' | 'objectLock' | 'pageSize' | 'nowMs'>) {
    this.name = options.name;
    this.region = options.region;
    this.objectLock = options.objectLock;
    this.pageSize = options.pageSize;
    this.nowMs = options.nowMs;
  }

  /** Keys that have any version, in the order of their bytes. */
  keys(): string[] {
    return [...this.#keys.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  /** Newest first; empty when there is none. */
  versions(key: string): readonly Version[] {
    return this.#keys.get(key) ?? [];
  }

  newest(key: string): Version | null {
    return this.versions(key)[0] ?? null;
  }

  /** How many versions there were before this one. @throws {S3Error} InvalidArgument when there never was one */
  sequence(versionId: string): number {
    const found = this.#sequence.get(versionId);
    if (found === undefined) throw new S3Error('InvalidArgument', 'Invalid version id specified');
    return found;
  }

  add(key: string, object: StoredObject | null): Version {
    const id = this.objectLock ? randomBytes(24).toString('base64url') : 'null';
    const version: Version = { id, modified: new Date(this.nowMs()), object };
    this.#sequence.set(id, this.#sequence.size);
    this.#keys.set(key, [version, ...(this.objectLock ? this.versions(key) : [])]);
    return version;
  }

  find(key: string, versionId: string): Version | null {
    this.sequence(versionId);
    return this.versions(key).find(({ id }) => id === versionId) ?? null;
  }

  /** The version of that id, or the newest. @throws {S3Error} NoSuchVersion, NoSuchKey, MethodNotAllowed: a delete marker */
  object(key: string, versionId: string | null): { version: Version; object: StoredObject } {
    const version = versionId === null ? this.newest(key) : this.find(key, versionId);
    if (version === null && versionId !== null)
      throw new S3Error('NoSuchVersion', 'The specified version does not exist.');
    if (version === null) throw new S3Error('NoSuchKey', 'The specified key does not exist.');
    const { object } = version;
    if (object === null) {
      const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.id };
      if (versionId === null) throw new S3Error('NoSuchKey', 'The specified key does not exist.', headers);
      const message = 'The specified method is not allowed against this resource.';
      throw new S3Error('MethodNotAllowed', message, { ...headers, allow: 'DELETE' });
    }
    return { version, object };
  }

  /** Removes a version. @throws {S3Error} AccessDenied while it is locked */
  remove(key: string, version: Version, bypassGovernance: boolean): void {
    const retention = version.object?.retention ?? null;
    if (this.#locked(retention) && !(retention.mode === 'GOVERNANCE' && bypassGovernance))
      throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.');
    const left = this.versions(key).filter((other) => other !== version);
    if (left.length === 0) this.#keys.delete(key);
    else this.#keys.set(key, left);
  }

  /** Compliance is only ever prolonged; governance is prolonged by anybody, and loosened by who may bypass it. */
  retain(object: StoredObject, retention: Retention | null, bypassGovernance: boolean): void {
    const before = object.retention;
    if (this.#locked(before)) {
      const prolonged = retention?.mode === before.mode && retention.until >= before.until;
      if (!prolonged && !(before.mode === 'GOVERNANCE' && bypassGovernance))
        throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.');
    }
    object.retention = retention;
  }

  #locked(retention: Retention | null): retention is Retention {
    return retention !== null && retention.until.getTime() > this.nowMs();
  }

  /** As one who has the disks: versions, markers and locks alike. */
  erase(key: string): void {
    this.#keys.delete(key);
  }
}
