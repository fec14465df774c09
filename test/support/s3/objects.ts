/** PutObject, GetObject, HeadObject, DeleteObject. */
import { createHash, randomBytes } from 'node:crypto';
import { S3Error } from './error.ts';
import type { S3Answer, S3Request } from './request.ts';
import type { Bucket, Description, StoredObject, Version } from './store.ts';
import { checkDigests, checkIfNoneMatch, readDescription, requireDigest } from './upload-headers.ts';

/** The MD5 of the contents; of what KMS encrypts S3 tells something else, and so no client may count on it. */
export function etagOf(description: Description, md5: string): string {
  const kms = description.headers['x-amz-server-side-encryption'] === 'aws:kms';
  return kms ? `"${randomBytes(16).toString('hex')}"` : `"${md5}"`;
}

export const md5Of = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

export function encryptionOf({ headers }: Description): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('x-amz-server-side-encryption')),
  );
}

export function versionHeader(bucket: Bucket, version: Version): Record<string, string> {
  return bucket.objectLock ? { 'x-amz-version-id': version.id } : {};
}

export function putObject(request: S3Request, bucket: Bucket): S3Answer {
  const { headers, key, body } = request;
  const description = readDescription(headers, bucket);
  const sha256 = checkDigests(request);
  if (description.retention !== null)
    requireDigest(headers, 'Put Object requests with Object Lock parameters');
  checkIfNoneMatch(headers, bucket, key);
  const etag = etagOf(description, md5Of(body));
  const checksum = sha256 === null ? null : { value: sha256, type: 'FULL_OBJECT' as const };
  const version = bucket.add(key, { ...description, bytes: body, etag, checksum });
  return {
    status: 200,
    headers: {
      etag,
      ...versionHeader(bucket, version),
      ...encryptionOf(description),
      ...(checksum && { 'x-amz-checksum-sha256': checksum.value, 'x-amz-checksum-type': checksum.type }),
    },
  };
}

/** GET and HEAD: the server leaves the body of a HEAD away. */
export function getObject({ key, query, headers }: S3Request, bucket: Bucket): S3Answer {
  const { version, object } = bucket.object(key, query.get('versionId'));
  const range = parseRange(headers.get('range'), object.bytes.length);
  const whole = range === null;
  return {
    status: whole ? 200 : 206,
    headers: {
      ...object.headers,
      etag: object.etag,
      'accept-ranges': 'bytes',
      'last-modified': version.modified.toUTCString(),
      ...versionHeader(bucket, version),
      ...lockHeaders(object),
      ...(whole && headers.get('x-amz-checksum-mode') === 'ENABLED' ? checksumHeaders(object) : {}),
      ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${object.bytes.length}` }),
    },
    body: range === null ? object.bytes : object.bytes.subarray(range.start, range.end + 1),
  };
}

function lockHeaders({ retention }: StoredObject): Record<string, string> {
  if (retention === null) return {};
  return {
    'x-amz-object-lock-mode': retention.mode,
    'x-amz-object-lock-retain-until-date': retention.until.toISOString(),
  };
}

function checksumHeaders({ checksum }: StoredObject): Record<string, string> {
  return checksum ? { 'x-amz-checksum-sha256': checksum.value, 'x-amz-checksum-type': checksum.type } : {};
}

/** One range; null for all of it, as for what is not understood (RFC 9110, 14.2). */
function parseRange(header: string | undefined, lengthBytes: number): { start: number; end: number } | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || match[0] === 'bytes=-') return null;
  const [, first, last] = match;
  const start = first === '' ? Math.max(0, lengthBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? lengthBytes - 1 : Math.min(Number(last), lengthBytes - 1);
  if (first !== '' && last !== '' && Number(first) > Number(last)) return null;
  if (start >= lengthBytes) {
    const headers = { 'content-range': `bytes */${lengthBytes}` };
    throw new S3Error('InvalidRange', 'The requested range is not satisfiable', headers);
  }
  return { start, end };
}

export function deleteObject({ key, query, headers }: S3Request, bucket: Bucket): S3Answer {
  const versionId = query.get('versionId');
  if (versionId === null && bucket.objectLock) {
    const marker = bucket.add(key, null);
    return { status: 204, headers: { 'x-amz-delete-marker': 'true', ...versionHeader(bucket, marker) } };
  }
  const version = versionId === null ? bucket.newest(key) : bucket.find(key, versionId);
  if (version === null) return { status: 204 };
  bucket.remove(key, version, headers.get('x-amz-bypass-governance-retention') === 'true');
  return {
    status: 204,
    headers: {
      ...versionHeader(bucket, version),
      ...(version.object === null && { 'x-amz-delete-marker': 'true' }),
    },
  };
}
