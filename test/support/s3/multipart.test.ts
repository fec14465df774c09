import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { base64Of, RawClient } from './raw-client.ts';
import { S3Server, type S3Options } from './s3-server.ts';

const account = {
  bucket: 'archive',
  region: 'eu-central-1',
  accessKeyId: 'AKIDTEST',
  secretAccessKey: 'secret',
};
const parts = [
  Buffer.alloc(5 * 1024 * 1024, 'a'),
  Buffer.alloc(5 * 1024 * 1024, 'b'),
  Buffer.from('the end'),
];
const digests = parts.map((part) => base64Of('sha256', part));
const composite = `${createHash('sha256')
  .update(Buffer.concat(digests.map((digest) => Buffer.from(digest, 'base64'))))
  .digest('base64')}-3`;
const checksummed = { 'x-amz-checksum-algorithm': 'SHA256' };

async function stage(options: Partial<S3Options> = {}) {
  const server = await S3Server.start({ ...account, ...options });
  const client = new RawClient(server.url, account);
  const create = async (headers: Record<string, string> = {}): Promise<string> => {
    const answer = await client.send('POST', '/archive/a?uploads', headers);
    assert.equal(answer.status, 200, answer.text);
    return RawClient.text(answer, 'UploadId');
  };
  const part = (id: string, number: number, body: Buffer, headers: Record<string, string> = {}) =>
    client.send('PUT', `/archive/a?partNumber=${number}&uploadId=${id}`, headers, body);
  const complete = (id: string, list: string, headers: Record<string, string> = {}) =>
    client.send(
      'POST',
      `/archive/a?uploadId=${id}`,
      headers,
      `<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list}</CompleteMultipartUpload>`,
    );
  /** All parts, with their checksums; what completes them. */
  const whole = async (id: string): Promise<string[]> => {
    const entries: string[] = [];
    for (const [index, body] of parts.entries()) {
      const { status, headers } = await part(id, index + 1, body, {
        'x-amz-checksum-sha256': digests[index]!,
      });
      assert.equal(status, 200);
      assert.equal(headers['x-amz-checksum-sha256'], digests[index]);
      entries.push(entry(index + 1, headers['etag']!, digests[index]));
    }
    return entries;
  };
  return { server, client, create, part, complete, whole };
}

const entry = (number: number, etag: string, digest?: string): string =>
  `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag>${digest === undefined ? '' : `<ChecksumSHA256>${digest}</ChecksumSHA256>`}</Part>`;

test('a locked object in parts is there, and locked, when it is completed', async () => {
  const { server, client, create, part, complete, whole } = await stage();
  await using _ = server;
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const id = await create({
    ...checksummed,
    'content-type': 'text/plain',
    'x-amz-meta-origin': 'test',
    'x-amz-server-side-encryption': 'AES256',
    'x-amz-object-lock-mode': 'COMPLIANCE',
    'x-amz-object-lock-retain-until-date': until,
  });
  assert.equal((await part(id, 1, parts[0]!)).code, 'InvalidRequest', 'no digest of a part');
  const entries = await whole(id);
  assert.deepEqual([server.keys(), server.unfinishedUploads], [[], 1]);
  assert.equal((await client.send('GET', '/archive/a')).code, 'NoSuchKey');

  const done = await complete(id, entries.join('\n'), {
    'x-amz-checksum-sha256': composite,
    'if-none-match': '*',
  });
  assert.equal(done.status, 200, done.text);
  assert.equal(RawClient.text(done, 'ChecksumSHA256'), composite);
  assert.equal(RawClient.text(done, 'ChecksumType'), 'COMPOSITE');
  assert.match(RawClient.text(done, 'ETag'), /^&#34;[\da-f]{32}-3&#34;$/);
  assert.deepEqual([server.keys(), server.unfinishedUploads], [['a'], 0]);

  const head = await client.send('HEAD', '/archive/a', { 'x-amz-checksum-mode': 'ENABLED' });
  assert.equal(head.headers['x-amz-checksum-sha256'], composite);
  assert.equal(head.headers['x-amz-checksum-type'], 'COMPOSITE');
  assert.equal(head.headers['x-amz-object-lock-mode'], 'COMPLIANCE');
  assert.equal(head.headers['x-amz-object-lock-retain-until-date'], until);
  assert.equal(head.headers['x-amz-meta-origin'], 'test');
  assert.equal(head.headers['content-type'], 'text/plain');
  assert.ok((await client.send('GET', '/archive/a')).body.equals(Buffer.concat(parts)));
  const version = done.headers['x-amz-version-id'];
  assert.equal((await client.send('DELETE', `/archive/a?versionId=${version}`)).code, 'AccessDenied');
  assert.equal((await complete(id, entries.join(''))).code, 'NoSuchUpload', 'it is completed once');
});

test('a list that does not say what was uploaded completes nothing', async () => {
  const { server, create, part, complete, whole } = await stage();
  await using _ = server;
  const id = await create(checksummed);
  const [first = '', second = '', third = ''] = await whole(id);
  const [etag = ''] = /&quot;.*&quot;/.exec(first) ?? [];
  const wrong: [list: string, code: string][] = [
    ['', 'MalformedXML'],
    ['<Part>', 'MalformedXML'],
    ['<Part><ETag>x</ETag></Part>', 'MalformedXML'],
    [`${second}${first}${third}`, 'InvalidPartOrder'],
    [`${first}${first}`, 'InvalidPartOrder'],
    [`${first}${second}${entry(4, etag, digests[0])}`, 'InvalidPart'],
    [`${first}${third}`, 'InvalidPart'],
    [`${entry(1, 'other', digests[0])}${second}${third}`, 'InvalidPart'],
    [`${entry(1, etag, digests[1])}${second}${third}`, 'InvalidPart'],
    [`${entry(1, etag)}${second}${third}`, 'InvalidRequest'],
  ];
  for (const [list, code] of wrong) assert.equal((await complete(id, list)).code, code, list);
  const all = `${first}${second}${third}`;
  assert.equal((await complete(id, all, { 'x-amz-checksum-sha256': digests[0]! })).code, 'BadDigest');
  assert.equal((await complete(id, all, { 'x-amz-checksum-type': 'FULL_OBJECT' })).code, 'InvalidRequest');
  assert.equal((await complete('unknown', all)).code, 'NoSuchUpload');

  const small = Buffer.from('small');
  const small1 = await part(id, 2, small, { 'x-amz-checksum-sha256': base64Of('sha256', small) });
  const list = `${first}${entry(2, small1.headers['etag']!, base64Of('sha256', small))}${third}`;
  assert.equal((await complete(id, all)).code, 'InvalidPart', 'a part that was replaced');
  assert.equal((await complete(id, list)).code, 'EntityTooSmall');
  assert.deepEqual([server.keys(), server.unfinishedUploads], [[], 1]);
});

test('parts have numbers, digests as announced, and an upload', async () => {
  const { server, client, create, part } = await stage({ pageSize: 2 });
  await using _ = server;
  const id = await create();
  const body = Buffer.from('a part');
  for (const number of [0, 10_001]) assert.equal((await part(id, number, body)).code, 'InvalidArgument');
  assert.equal(
    (await part(id, 1, body, { 'x-amz-checksum-sha256': base64Of('sha256', body) })).code,
    'InvalidRequest',
  );
  assert.equal((await part(id, 1, body, { 'content-md5': base64Of('md5', 'other') })).code, 'BadDigest');
  const announced = await create(checksummed);
  assert.equal((await part(announced, 1, body)).code, 'InvalidRequest');
  assert.equal((await part(announced, 1, body, { 'x-amz-checksum-sha256': digests[0]! })).code, 'BadDigest');
  const other = await client.send('PUT', `/archive/b?partNumber=1&uploadId=${id}`, {}, body);
  assert.equal(other.code, 'NoSuchUpload', 'an upload is of one key');

  for (const number of [3, 1, 2]) assert.equal((await part(id, number, body)).status, 200);
  const first = await client.send('GET', `/archive/a?uploadId=${id}`);
  assert.deepEqual(RawClient.all(first, 'PartNumber'), ['1', '2']);
  const next = RawClient.text(first, 'NextPartNumberMarker');
  const second = await client.send('GET', `/archive/a?uploadId=${id}&part-number-marker=${next}`);
  assert.deepEqual(
    [RawClient.all(second, 'PartNumber'), RawClient.text(second, 'IsTruncated')],
    [['3'], 'false'],
  );

  assert.equal((await client.send('DELETE', `/archive/a?uploadId=${id}`)).status, 204);
  assert.equal((await client.send('DELETE', `/archive/a?uploadId=${id}`)).code, 'NoSuchUpload');
  assert.equal((await part(id, 1, body)).code, 'NoSuchUpload');
  assert.equal((await client.send('GET', `/archive/a?uploadId=${id}`)).code, 'NoSuchUpload');
  assert.equal(server.unfinishedUploads, 1);
});

test('what an upload is begun with is checked when it begins', async () => {
  const { server, client } = await stage();
  await using _ = server;
  const wrong: [headers: Record<string, string>, code: string][] = [
    [{ 'x-amz-object-lock-mode': 'COMPLIANCE' }, 'InvalidArgument'],
    [{ 'x-amz-checksum-algorithm': 'CRC32' }, 'NotImplemented'],
    [{ ...checksummed, 'x-amz-checksum-type': 'FULL_OBJECT' }, 'InvalidRequest'],
    [{ 'x-amz-server-side-encryption': 'rot13' }, 'InvalidArgument'],
    [{ 'x-amz-acl': 'public-read' }, 'NotImplemented'],
  ];
  for (const [headers, code] of wrong)
    assert.equal(
      (await client.send('POST', '/archive/a?uploads', headers)).code,
      code,
      JSON.stringify(headers),
    );
  assert.equal(server.unfinishedUploads, 0);
});
