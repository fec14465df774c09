/** ListObjectsV2, its predecessor ListObjects, and ListObjectVersions: in the order of the keys' bytes, by pages. */
import { S3Error } from './error.ts';
import { queryNumber, type S3Answer, type S3Request } from './request.ts';
import { uriEncode } from './signature.ts';
import type { Bucket, StoredObject, Version } from './store.ts';
import { element, namespace, xml, type Markup } from './xml.ts';

interface Item {
  readonly key: string;
  readonly version: Version;
}

interface Page {
  readonly items: readonly Item[];
  readonly prefixes: readonly string[];
  /** The last that the page tells of, where there is more behind it: a key or a common prefix. */
  readonly next: { readonly key: string; readonly versionId: string | null } | null;
  readonly maxKeys: number;
}

/** @param items in order, and behind what earlier pages told of, except what is in a common prefix that they named */
function pageOf(items: readonly Item[], query: URLSearchParams, told: string, bucket: Bucket): Page {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const maxKeys = Math.min(queryNumber(query, 'max-keys', 1000), 1000);
  const size = Math.min(maxKeys, bucket.pageSize);
  const found: Item[] = [];
  const prefixes = new Set<string>();
  let last: Page['next'] = null;
  for (const item of items) {
    if (!item.key.startsWith(prefix)) continue;
    const end = delimiter === '' ? -1 : item.key.indexOf(delimiter, prefix.length);
    const common = end < 0 ? null : item.key.slice(0, end + delimiter.length);
    if (common !== null && (common === told || prefixes.has(common))) continue;
    if (found.length + prefixes.size >= size)
      return { items: found, prefixes: [...prefixes], next: last, maxKeys };
    if (common === null) found.push(item);
    else prefixes.add(common);
    last = { key: common ?? item.key, versionId: common === null ? item.version.id : null };
  }
  return { items: found, prefixes: [...prefixes], next: null, maxKeys };
}

const isAfter = (key: string, marker: string): boolean =>
  Buffer.compare(Buffer.from(key), Buffer.from(marker)) > 0;

function currentAfter(bucket: Bucket, marker: string): Item[] {
  return bucket
    .keys()
    .filter((key) => marker === '' || isAfter(key, marker))
    .flatMap((key) => {
      const version = bucket.newest(key);
      return version?.object ? [{ key, version }] : [];
    });
}

/** Names as asked for: percent-encoded when the reader could not take every sign in XML. */
function naming(query: URLSearchParams): (name: string, text: string) => Markup {
  const encoding = query.get('encoding-type');
  if (encoding !== null && encoding !== 'url')
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request');
  return (name, text) => element(name, encoding === null ? text : uriEncode(text).replaceAll('%2F', '/'));
}

function answer(
  root: string,
  query: URLSearchParams,
  bucket: Bucket,
  page: Page,
  content: (Markup | null)[],
): S3Answer {
  const named = naming(query);
  const delimiter = query.get('delimiter') ?? '';
  const head = [
    element('Name', bucket.name),
    named('Prefix', query.get('prefix') ?? ''),
    delimiter === '' ? null : named('Delimiter', delimiter),
    element('MaxKeys', page.maxKeys),
    query.get('encoding-type') === null ? null : element('EncodingType', 'url'),
    element('IsTruncated', page.next !== null),
  ];
  const prefixes = page.prefixes.map((prefix) => element('CommonPrefixes', [named('Prefix', prefix)]));
  return { status: 200, body: xml(element(root, [...head, ...content, ...prefixes], namespace)) };
}

function contents(page: Page, named: ReturnType<typeof naming>): Markup[] {
  return page.items.flatMap(({ key, version: { modified, object } }) =>
    object === null ? [] : [element('Contents', [named('Key', key), ...objectFields(modified, object)])],
  );
}

function objectFields(modified: Date, { etag, bytes, checksum, headers }: StoredObject): (Markup | null)[] {
  return [
    element('LastModified', modified.toISOString()),
    element('ETag', etag),
    checksum && element('ChecksumAlgorithm', 'SHA256'),
    checksum && element('ChecksumType', checksum.type),
    element('Size', bytes.length),
    element('StorageClass', headers['x-amz-storage-class'] ?? 'STANDARD'),
  ];
}

export function listObjectsV2({ query }: S3Request, bucket: Bucket): S3Answer {
  if (query.get('list-type') !== '2') throw new S3Error('InvalidArgument', 'Invalid List Type');
  if ((query.get('fetch-owner') ?? 'false') !== 'false')
    throw new S3Error('NotImplemented', 'Owners are not implemented.');
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after') ?? '';
  const told = token === null ? '' : decodeToken(token);
  const page = pageOf(currentAfter(bucket, told || startAfter), query, told, bucket);
  const named = naming(query);
  return answer('ListBucketResult', query, bucket, page, [
    element('KeyCount', page.items.length + page.prefixes.length),
    startAfter === '' ? null : named('StartAfter', startAfter),
    token === null ? null : element('ContinuationToken', token),
    page.next && element('NextContinuationToken', encodeToken(page.next.key)),
    ...contents(page, named),
  ]);
}

// Opaque: a client that takes it for a key, or does not escape its signs, goes astray.
const encodeToken = (key: string): string => `1+/${Buffer.from(key).toString('base64')}`;

function decodeToken(token: string): string {
  const key = Buffer.from(token.slice(3), 'base64').toString();
  if (key === '' || encodeToken(key) !== token)
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect');
  return key;
}

export function listObjects({ query }: S3Request, bucket: Bucket): S3Answer {
  const marker = query.get('marker') ?? '';
  const page = pageOf(currentAfter(bucket, marker), query, marker, bucket);
  const named = naming(query);
  return answer('ListBucketResult', query, bucket, page, [
    named('Marker', marker),
    page.next && query.get('delimiter') ? named('NextMarker', page.next.key) : null,
    ...contents(page, named),
  ]);
}

export function listVersions({ query }: S3Request, bucket: Bucket): S3Answer {
  const keyMarker = query.get('key-marker') ?? '';
  const versionMarker = query.get('version-id-marker') ?? '';
  if (versionMarker !== '' && keyMarker === '')
    throw new S3Error('InvalidArgument', 'A version-id marker cannot be specified without a key marker.');
  const before = versionMarker === '' ? 0 : bucket.sequence(versionMarker);
  const items = bucket
    .keys()
    .flatMap((key) => bucket.versions(key).map((version) => ({ key, version })))
    .filter(
      ({ key, version }) =>
        keyMarker === '' ||
        isAfter(key, keyMarker) ||
        (versionMarker !== '' && key === keyMarker && bucket.sequence(version.id) < before),
    );
  const page = pageOf(items, query, keyMarker, bucket);
  const named = naming(query);
  return answer('ListVersionsResult', query, bucket, page, [
    named('KeyMarker', keyMarker),
    element('VersionIdMarker', versionMarker),
    page.next && named('NextKeyMarker', page.next.key),
    page.next?.versionId ? element('NextVersionIdMarker', page.next.versionId) : null,
    ...page.items.map(({ key, version }) => versionEntry(named('Key', key), version, bucket.newest(key))),
  ]);
}

function versionEntry(key: Markup, version: Version, newest: Version | null): Markup {
  const head = [key, element('VersionId', version.id), element('IsLatest', version === newest)];
  return version.object === null
    ? element('DeleteMarker', [...head, element('LastModified', version.modified.toISOString())])
    : element('Version', [...head, ...objectFields(version.modified, version.object)]);
}
