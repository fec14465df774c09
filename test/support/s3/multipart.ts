/** Uploads in parts: the object, and its lock, are there when it is completed, and not before. */
import { createHash, randomBytes } from 'node:crypto';
import { S3Error } from './error.ts';
import { encryptionOf, etagOf, md5Of, versionHeader } from './objects.ts';
import { queryNumber, type S3Answer, type S3Request } from './request.ts';
import type { Bucket, Part, Upload } from './store.ts';
import { checkDigests, checkIfNoneMatch, readDescription, requireDigest } from './upload-headers.ts';
import { childText, element, namespace, parseXml, xml, type XmlElement } from './xml.ts';

const smallestPartBytes = 5 * 1024 * 1024;
const mostParts = 10_000;

export function createUpload({ key, headers }: S3Request, bucket: Bucket): S3Answer {
  const description = readDescription(headers, bucket);
  const algorithm = headers.get('x-amz-checksum-algorithm');
  if (algorithm !== undefined && algorithm !== 'SHA256')
    throw new S3Error('NotImplemented', 'Of the checksum algorithms SHA256 alone is implemented.');
  checkType(headers, algorithm !== undefined);
  const id = randomBytes(48).toString('base64url');
  bucket.uploads.set(id, { key, description, checksummed: algorithm !== undefined, parts: new Map() });
  const content = [element('Bucket', bucket.name), element('Key', key), element('UploadId', id)];
  return {
    status: 200,
    headers: {
      ...encryptionOf(description),
      ...(algorithm && { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': 'COMPOSITE' }),
    },
    body: xml(element('InitiateMultipartUploadResult', content, namespace)),
  };
}

function checkType(headers: S3Request['headers'], checksummed: boolean): void {
  const type = headers.get('x-amz-checksum-type');
  if (type !== undefined && (type !== 'COMPOSITE' || !checksummed))
    throw new S3Error('InvalidRequest', `The ${type} checksum type cannot be used with this upload.`);
}

function uploadOf({ key, query }: S3Request, bucket: Bucket): Upload & { readonly id: string } {
  const id = query.get('uploadId') ?? '';
  const upload = bucket.uploads.get(id);
  if (upload?.key !== key) {
    const message =
      'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.';
    throw new S3Error('NoSuchUpload', message);
  }
  return { ...upload, id };
}

export function uploadPart(request: S3Request, bucket: Bucket): S3Answer {
  const upload = uploadOf(request, bucket);
  const number = queryNumber(request.query, 'partNumber', 0);
  if (number < 1 || number > mostParts) {
    const message = `Part number must be an integer between 1 and ${mostParts}, inclusive`;
    throw new S3Error('InvalidArgument', message);
  }
  if (upload.description.retention !== null)
    requireDigest(request.headers, 'Put Part requests with Object Lock parameters');
  const checksum = checkDigests(request);
  if (upload.checksummed !== (checksum !== null)) {
    const [expected, actual] = upload.checksummed ? ['sha256', 'null'] : ['null', 'sha256'];
    const message = `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`;
    throw new S3Error('InvalidRequest', message);
  }
  const etag = etagOf(upload.description, md5Of(request.body));
  upload.parts.set(number, { bytes: request.body, etag, checksum, modified: new Date(bucket.nowMs()) });
  return {
    status: 200,
    headers: {
      etag,
      ...encryptionOf(upload.description),
      ...(checksum !== null && { 'x-amz-checksum-sha256': checksum }),
    },
  };
}

export function completeUpload(request: S3Request, bucket: Bucket): S3Answer {
  const upload = uploadOf(request, bucket);
  const { key, headers } = request;
  const parts = chosenParts(upload, request.body.toString());
  checkType(headers, upload.checksummed);
  const count = parts.length;
  const composite = createHash('sha256')
    .update(Buffer.concat(parts.map(({ checksum }) => Buffer.from(checksum ?? '', 'base64'))))
    .digest('base64');
  const promised = headers.get('x-amz-checksum-sha256');
  if (
    promised !== undefined &&
    (!upload.checksummed || ![composite, `${composite}-${count}`].includes(promised))
  )
    throw new S3Error('BadDigest', 'The sha256 you specified did not match the calculated checksum.');
  checkIfNoneMatch(headers, bucket, key);
  const md5s = Buffer.concat(parts.map(({ bytes }) => Buffer.from(md5Of(bytes), 'hex')));
  const etag = etagOf(upload.description, md5Of(md5s)).replace(/"$/, `-${count}"`);
  const checksum = upload.checksummed ? { value: `${composite}-${count}`, type: 'COMPOSITE' as const } : null;
  const bytes = Buffer.concat(parts.map((part) => part.bytes));
  const version = bucket.add(key, { ...upload.description, bytes, etag, checksum });
  bucket.uploads.delete(upload.id);
  const content = [
    element('Location', `http://${headers.get('host') ?? ''}${request.path}`),
    element('Bucket', bucket.name),
    element('Key', key),
    element('ETag', etag),
    checksum && element('ChecksumSHA256', checksum.value),
    checksum && element('ChecksumType', checksum.type),
  ];
  return {
    status: 200,
    headers: { ...versionHeader(bucket, version), ...encryptionOf(upload.description) },
    body: xml(element('CompleteMultipartUploadResult', content, namespace)),
  };
}

/** The parts that the client names, which have to be those that were received. */
function chosenParts(upload: Upload, text: string): Part[] {
  const entries = parseEntries(text);
  if (entries.some(({ number }, index) => index > 0 && number <= entries[index - 1]!.number))
    throw new S3Error('InvalidPartOrder', 'The list of parts was not in ascending order.');
  return entries.map(({ number, entry }, index) => {
    const part = upload.parts.get(number);
    // With checksums S3 wants them numbered from 1 without gaps.
    if (part === undefined || (upload.checksummed && number !== index + 1)) throw invalidPart();
    checkPart(entry, part, number);
    if (part.bytes.length < smallestPartBytes && index + 1 < entries.length)
      throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size');
    return part;
  });
}

function parseEntries(text: string): { number: number; entry: XmlElement }[] {
  const root = parseXml(text);
  if (root?.name !== 'CompleteMultipartUpload' || root.children.length === 0) throw malformed();
  return root.children.map((entry) => {
    const number = childText(entry, 'PartNumber') ?? '';
    if (entry.name !== 'Part' || !/^\d+$/.test(number)) throw malformed();
    return { number: Number(number), entry };
  });
}

function checkPart(entry: XmlElement, { etag, checksum }: Part, number: number): void {
  if (childText(entry, 'ETag')?.replaceAll('"', '') !== etag.replaceAll('"', '')) throw invalidPart();
  const named = childText(entry, 'ChecksumSHA256');
  if (named === null && checksum !== null) {
    const message = `The upload was created using a sha256 checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`;
    throw new S3Error('InvalidRequest', message);
  }
  if (named !== checksum) throw invalidPart();
}

function invalidPart(): S3Error {
  const message =
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
  return new S3Error('InvalidPart', message);
}

function malformed(): S3Error {
  const message = 'The XML you provided was not well-formed or did not validate against our published schema';
  return new S3Error('MalformedXML', message);
}

export function abortUpload(request: S3Request, bucket: Bucket): S3Answer {
  bucket.uploads.delete(uploadOf(request, bucket).id);
  return { status: 204 };
}

export function listParts(request: S3Request, bucket: Bucket): S3Answer {
  const { id, key, parts, checksummed } = uploadOf(request, bucket);
  const marker = queryNumber(request.query, 'part-number-marker', 0);
  const maxParts = Math.min(queryNumber(request.query, 'max-parts', 1000), 1000);
  const left = [...parts].filter(([number]) => number > marker).toSorted(([a], [b]) => a - b);
  const shown = left.slice(0, Math.min(maxParts, bucket.pageSize));
  const next = shown.length < left.length ? (shown.at(-1)?.[0] ?? null) : null;
  const content = [
    element('Bucket', bucket.name),
    element('Key', key),
    element('UploadId', id),
    element('PartNumberMarker', marker),
    next === null ? null : element('NextPartNumberMarker', next),
    element('MaxParts', maxParts),
    element('IsTruncated', next !== null),
    checksummed ? element('ChecksumAlgorithm', 'SHA256') : null,
    ...shown.map(([number, { bytes, etag, checksum, modified }]) =>
      element('Part', [
        element('PartNumber', number),
        element('LastModified', modified.toISOString()),
        element('ETag', etag),
        element('Size', bytes.length),
        checksum === null ? null : element('ChecksumSHA256', checksum),
      ]),
    ),
  ];
  return { status: 200, body: xml(element('ListPartsResult', content, namespace)) };
}
