/** The retention of an object, and what the bucket is set to: versioning, Object Lock, where it is. */
import { S3Error } from './error.ts';
import type { S3Answer, S3Request } from './request.ts';
import type { Bucket, Retention } from './store.ts';
import { checkDigests, parseRetention, requireDigest, requireObjectLock } from './upload-headers.ts';
import { childText, element, namespace, parseXml, xml } from './xml.ts';

export function getRetention({ key, query }: S3Request, bucket: Bucket): S3Answer {
  requireObjectLock(bucket);
  const { retention } = bucket.object(key, query.get('versionId')).object;
  if (retention === null) {
    const message = 'The specified object does not have a ObjectLock configuration';
    throw new S3Error('NoSuchObjectLockConfiguration', message);
  }
  const content = [
    element('Mode', retention.mode),
    element('RetainUntilDate', retention.until.toISOString()),
  ];
  return { status: 200, body: xml(element('Retention', content, namespace)) };
}

export function putRetention(request: S3Request, bucket: Bucket): S3Answer {
  requireObjectLock(bucket);
  requireDigest(request.headers, 'Put Object Retention requests');
  checkDigests(request);
  const { object } = bucket.object(request.key, request.query.get('versionId'));
  const bypass = request.headers.get('x-amz-bypass-governance-retention') === 'true';
  bucket.retain(object, readRetention(request.body.toString(), bucket.nowMs()), bypass);
  return { status: 200 };
}

/** Null: none any more. */
function readRetention(text: string, nowMs: number): Retention | null {
  const root = parseXml(text);
  const names = root?.children.map(({ name }) => name).toSorted();
  if (root?.name === 'Retention' && root.children.length === 0) return null;
  if (root?.name !== 'Retention' || names?.join() !== 'Mode,RetainUntilDate') {
    const message =
      'The XML you provided was not well-formed or did not validate against our published schema';
    throw new S3Error('MalformedXML', message);
  }
  return parseRetention(childText(root, 'Mode') ?? '', childText(root, 'RetainUntilDate') ?? '', nowMs);
}

export function getVersioning(_: S3Request, bucket: Bucket): S3Answer {
  const status = bucket.objectLock ? element('Status', 'Enabled') : null;
  return { status: 200, body: xml(element('VersioningConfiguration', [status], namespace)) };
}

export function getObjectLock(_: S3Request, bucket: Bucket): S3Answer {
  if (!bucket.objectLock) {
    const message = 'Object Lock configuration does not exist for this bucket';
    throw new S3Error('ObjectLockConfigurationNotFoundError', message);
  }
  const content = [element('ObjectLockEnabled', 'Enabled')];
  return { status: 200, body: xml(element('ObjectLockConfiguration', content, namespace)) };
}

/** The first region of all has no name here. */
export function getLocation(_: S3Request, { region }: Bucket): S3Answer {
  const name = region === 'us-east-1' ? '' : region;
  return { status: 200, body: xml(element('LocationConstraint', name, namespace)) };
}

export const headBucket = (_: S3Request, { region }: Bucket): S3Answer => ({
  status: 200,
  headers: { 'x-amz-bucket-region': region },
});
