/** The few documents of S3 that the archive reads and writes (Amazon S3 API Reference, 2006-03-01). */
import { Malformed, parseXml, type XmlElement } from '../../../system/xml.ts';
import { ArchiveError } from '../error.ts';

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
}
export interface ListedVersion {
  readonly key: string;
  readonly versionId: string;
  /** Only says that what is older was removed. */
  readonly isMarker: boolean;
}

const limits = { characters: 4 * 1024 * 1024, comments: 'refused' } as const;

/** `ListObjectsV2`. */
export function readObjects(body: Buffer): { objects: ListedObject[]; next: string | null } {
  const root = rootOf(body, 'ListBucketResult');
  const objects = childrenOf(root, 'Contents').map((item) => ({
    key: textOf(item, 'Key'),
    bytes: Number(textOf(item, 'Size')),
  }));
  return { objects, next: isTruncated(root) ? textOf(root, 'NextContinuationToken') : null };
}

/** `ListObjectVersions`, delete markers among them. */
export function readVersions(body: Buffer): {
  versions: ListedVersion[];
  next: Record<string, string> | null;
} {
  const root = rootOf(body, 'ListVersionsResult');
  const versions = [...childrenOf(root, 'Version'), ...childrenOf(root, 'DeleteMarker')].map((item) => ({
    key: textOf(item, 'Key'),
    versionId: textOf(item, 'VersionId'),
    isMarker: item.name === 'DeleteMarker',
  }));
  const next = isTruncated(root)
    ? {
        'key-marker': textOf(root, 'NextKeyMarker'),
        'version-id-marker': textOf(root, 'NextVersionIdMarker'),
      }
    : null;
  return { versions, next };
}

/** `CreateMultipartUpload`. */
export const readUploadId = (body: Buffer): string =>
  textOf(rootOf(body, 'InitiateMultipartUploadResult'), 'UploadId');

/** `CompleteMultipartUpload` may fail behind a status of 200. */
export const isCompleted = (body: Buffer): boolean => {
  try {
    return rootOf(body, 'CompleteMultipartUploadResult').name !== '';
  } catch {
    return false;
  }
};

export interface UploadedPart {
  readonly etag: string;
  /** Base64. */
  readonly sha256: string;
}

export function completion(parts: readonly UploadedPart[]): Buffer {
  const items = parts.map(
    ({ etag, sha256 }, at) =>
      `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escaped(etag)}</ETag><ChecksumSHA256>${sha256}</ChecksumSHA256></Part>`,
  );
  return Buffer.from(
    `<CompleteMultipartUpload xmlns="${namespace}">${items.join('')}</CompleteMultipartUpload>`,
  );
}

export const retention = (mode: string, until: string): Buffer =>
  Buffer.from(
    `<Retention xmlns="${namespace}"><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`,
  );

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

function rootOf(body: Buffer, name: string): XmlElement {
  try {
    const root = parseXml(body.toString('utf8').trim(), limits);
    if (root.name === name) return root;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
  throw new ArchiveError('archive-refused', `the archive’s answer is no ${name}`);
}

const childrenOf = ({ nodes }: XmlElement, name: string): XmlElement[] =>
  nodes.filter((node): node is XmlElement => typeof node !== 'string' && node.name === name);

function textOf(element: XmlElement, name: string): string {
  const [child] = childrenOf(element, name);
  const text = child?.nodes[0] ?? '';
  if (child === undefined || typeof text !== 'string' || child.nodes.length > 1)
    throw new ArchiveError('archive-refused', `the archive’s answer has no ${name}`);
  return text;
}

const isTruncated = (root: XmlElement): boolean =>
  childrenOf(root, 'IsTruncated').some(({ nodes }) => nodes[0] === 'true');
