/** What a client may say when it puts an object, and what its digests promise about the body. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { S3Error } from './error.ts';
import type { S3Request } from './request.ts';
import type { Bucket, Description, Retention } from './store.ts';

type Headers = S3Request['headers'];

const storageClasses = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
]);
const standard = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
]);

/** Headers of the operations that describe an object. */
export const descriptionHeaders = [
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-storage-class',
];

export function readDescription(headers: Headers, bucket: Bucket): Description {
  const kept = [...headers].filter(([name]) => standard.has(name) || name.startsWith('x-amz-meta-'));
  const metadata = kept.filter(([name]) => name.startsWith('x-amz-meta-'));
  const lengthBytes = metadata.reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name.slice('x-amz-meta-'.length) + value),
    0,
  );
  if (lengthBytes > 2048)
    throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size');
  const storageClass = headers.get('x-amz-storage-class') ?? 'STANDARD';
  if (!storageClasses.has(storageClass))
    throw new S3Error('InvalidStorageClass', 'The storage class you specified is not valid');
  return {
    headers: {
      'content-type': 'binary/octet-stream',
      ...Object.fromEntries(kept),
      ...readEncryption(headers, bucket.region),
      ...(storageClass !== 'STANDARD' && { 'x-amz-storage-class': storageClass }),
    },
    retention: readRetention(headers, bucket),
  };
}

/** S3 encrypts what nobody asks about by keys of its own. */
function readEncryption(headers: Headers, region: string): Record<string, string> {
  const algorithm = headers.get('x-amz-server-side-encryption') ?? 'AES256';
  const keyId = headers.get('x-amz-server-side-encryption-aws-kms-key-id');
  if (algorithm === 'AES256' && keyId === undefined) return { 'x-amz-server-side-encryption': algorithm };
  if (algorithm !== 'aws:kms') {
    const message = 'The encryption method specified is not supported, or has no use for a key of KMS';
    throw new S3Error('InvalidArgument', message);
  }
  return {
    'x-amz-server-side-encryption': algorithm,
    'x-amz-server-side-encryption-aws-kms-key-id': keyId ?? `arn:aws:kms:${region}:000000000000:key/aws-s3`,
  };
}

function readRetention(headers: Headers, bucket: Bucket): Retention | null {
  const mode = headers.get('x-amz-object-lock-mode');
  const until = headers.get('x-amz-object-lock-retain-until-date');
  if (mode === undefined && until === undefined) return null;
  requireObjectLock(bucket);
  if (mode === undefined || until === undefined) {
    const message = 'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied';
    throw new S3Error('InvalidArgument', message);
  }
  return parseRetention(mode, until, bucket.nowMs());
}

export function requireObjectLock(bucket: Bucket): void {
  if (!bucket.objectLock) throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
}

export function parseRetention(mode: string, until: string, nowMs: number): Retention {
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE')
    throw new S3Error('InvalidArgument', 'Unknown wormMode directive.');
  const date = new Date(until);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(until) || Number.isNaN(date.getTime()))
    throw new S3Error('InvalidArgument', 'The retain until date must be provided in ISO 8601 format');
  if (date.getTime() <= nowMs)
    throw new S3Error('InvalidArgument', 'The retain until date must be in the future!');
  return { mode, until: date };
}

export function requireDigest(headers: Headers, why: string): void {
  if (!headers.has('content-md5') && !headers.has('x-amz-checksum-sha256'))
    throw new S3Error('InvalidRequest', `Content-MD5 OR x-amz-checksum- HTTP header is required for ${why}`);
}

/** The body's SHA-256 when the client promised one, else null. @throws {S3Error} BadDigest, InvalidDigest, InvalidRequest */
export function checkDigests({ headers, body }: S3Request): string | null {
  const md5 = headers.get('content-md5');
  if (md5 !== undefined) {
    const promised = decodeDigest(md5, 16);
    if (promised === null) throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.');
    if (!timingSafeEqual(promised, createHash('md5').update(body).digest()))
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
  const sha256 = headers.get('x-amz-checksum-sha256');
  const named = headers.get('x-amz-sdk-checksum-algorithm');
  if (named !== undefined && (named !== 'SHA256' || sha256 === undefined)) {
    const message =
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* was found.';
    throw new S3Error('InvalidRequest', message);
  }
  if (sha256 === undefined) return null;
  const promised = decodeDigest(sha256, 32);
  if (promised === null)
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-sha256 header is invalid.');
  if (!timingSafeEqual(promised, createHash('sha256').update(body).digest()))
    throw new S3Error('BadDigest', 'The SHA256 you specified did not match the calculated checksum.');
  return sha256;
}

/** Null when it is not the base64, as it must be written, of that many bytes. */
function decodeDigest(text: string, lengthBytes: number): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === lengthBytes && bytes.toString('base64') === text ? bytes : null;
}

export function checkIfNoneMatch(headers: Headers, bucket: Bucket, key: string): void {
  const condition = headers.get('if-none-match');
  if (condition === undefined) return;
  if (condition !== '*')
    throw new S3Error(
      'NotImplemented',
      'A header you provided implies functionality that is not implemented',
    );
  if (bucket.newest(key)?.object)
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
}
