/**
 * Which request is which operation, and all that each may say. What is in no line is NotImplemented: a stand-in that passed over
 * a header or a subresource would let a client believe that S3 did it.
 */
import { S3Error } from './error.ts';
import { listObjects, listObjectsV2, listVersions } from './listing.ts';
import {
  getLocation,
  getObjectLock,
  getRetention,
  getVersioning,
  headBucket,
  putRetention,
} from './locks.ts';
import { abortUpload, completeUpload, createUpload, listParts, uploadPart } from './multipart.ts';
import { deleteObject, getObject, putObject } from './objects.ts';
import type { S3Answer, S3Request } from './request.ts';
import type { Bucket } from './store.ts';
import { descriptionHeaders } from './upload-headers.ts';

interface Operation {
  readonly method: string;
  readonly of: 'bucket' | 'object';
  readonly run: (request: S3Request, bucket: Bucket) => S3Answer;
  /** Of the query: what makes it this operation. */
  readonly needs?: readonly string[];
  readonly allows?: readonly string[];
  /** Of the headers that S3 gives a meaning to. */
  readonly headers?: readonly string[];
}

const paging = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];
const sha256 = ['x-amz-checksum-sha256', 'x-amz-sdk-checksum-algorithm'];
const bypass = 'x-amz-bypass-governance-retention';

const operations: readonly Operation[] = [
  { method: 'HEAD', of: 'bucket', run: headBucket },
  { method: 'GET', of: 'bucket', needs: ['location'], run: getLocation },
  { method: 'GET', of: 'bucket', needs: ['versioning'], run: getVersioning },
  { method: 'GET', of: 'bucket', needs: ['object-lock'], run: getObjectLock },
  {
    method: 'GET',
    of: 'bucket',
    needs: ['list-type'],
    allows: [...paging, 'continuation-token', 'start-after', 'fetch-owner'],
    run: listObjectsV2,
  },
  {
    method: 'GET',
    of: 'bucket',
    needs: ['versions'],
    allows: [...paging, 'key-marker', 'version-id-marker'],
    run: listVersions,
  },
  { method: 'GET', of: 'bucket', allows: [...paging, 'marker'], run: listObjects },
  { method: 'GET', of: 'object', needs: ['retention'], allows: ['versionId'], run: getRetention },
  {
    method: 'PUT',
    of: 'object',
    needs: ['retention'],
    allows: ['versionId'],
    headers: [...sha256, bypass],
    run: putRetention,
  },
  {
    method: 'GET',
    of: 'object',
    needs: ['uploadId'],
    allows: ['max-parts', 'part-number-marker'],
    run: listParts,
  },
  {
    method: 'PUT',
    of: 'object',
    needs: ['uploadId', 'partNumber'],
    headers: sha256,
    run: uploadPart,
  },
  {
    method: 'POST',
    of: 'object',
    needs: ['uploads'],
    headers: [...descriptionHeaders, 'x-amz-checksum-algorithm', 'x-amz-checksum-type'],
    run: createUpload,
  },
  {
    method: 'POST',
    of: 'object',
    needs: ['uploadId'],
    headers: ['x-amz-checksum-sha256', 'x-amz-checksum-type', 'if-none-match'],
    run: completeUpload,
  },
  { method: 'DELETE', of: 'object', needs: ['uploadId'], run: abortUpload },
  {
    method: 'PUT',
    of: 'object',
    headers: [...descriptionHeaders, ...sha256, 'if-none-match'],
    run: putObject,
  },
  { method: 'GET', of: 'object', allows: ['versionId'], headers: ['x-amz-checksum-mode'], run: getObject },
  { method: 'HEAD', of: 'object', allows: ['versionId'], headers: ['x-amz-checksum-mode'], run: getObject },
  { method: 'DELETE', of: 'object', allows: ['versionId'], headers: [bypass], run: deleteObject },
];

/** What every request may have: its signature, and what clients say of themselves. */
const everywhere = new Set([
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-user-agent',
]);

/** @throws {S3Error} NotImplemented */
export function operationOf({ method, key, query, headers }: Omit<S3Request, 'body'>): Operation['run'] {
  const names = [...query.keys()].filter((name) => name !== 'x-id');
  const found = operations.find(
    ({ needs = [], allows = [], ...operation }) =>
      operation.method === method &&
      operation.of === (key === '' ? 'bucket' : 'object') &&
      needs.every((name) => query.has(name)) &&
      names.every((name) => needs.includes(name) || allows.includes(name)),
  );
  if (found === undefined) {
    const message = `The operation is not implemented: ${method} ${names.join()}`;
    throw new S3Error('NotImplemented', message);
  }
  const describes = found.headers?.includes('x-amz-storage-class') ?? false;
  const unknown = [...headers.keys()].find(
    (name) =>
      /^(x-amz-|if-)/.test(name) &&
      !everywhere.has(name) &&
      !(found.headers?.includes(name) ?? false) &&
      !(describes && name.startsWith('x-amz-meta-')),
  );
  if (unknown !== undefined) {
    const message = `A header you provided implies functionality that is not implemented: ${unknown}`;
    throw new S3Error('NotImplemented', message);
  }
  return found.run;
}
