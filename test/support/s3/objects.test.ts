import { test } from 'node:test';
import assert from 'node:assert/strict';
import { base64Of, RawClient } from './raw-client.ts';
import { S3Server, type S3Options } from './s3-server.ts';

const account = {
  bucket: 'archive',
  region: 'eu-central-1',
  accessKeyId: 'AKIDTEST',
  secretAccessKey: 'secret',
};

async function stage(options: Partial<S3Options> = {}) {
  const server = await S3Server.start({ ...account, ...options });
  return { server, client: new RawClient(server.url, account) };
}

test('what is put comes back, with what was said of it', async () => {
  const { server, client } = await stage();
  await using _ = server;
  const sha256 = base64Of('sha256', '0123456789');
  const put = await client.send(
    'PUT',
    '/archive/a',
    {
      'content-type': 'text/plain',
      'x-amz-meta-origin': 'test',
      'x-amz-checksum-sha256': sha256,
      'x-amz-sdk-checksum-algorithm': 'SHA256',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
      'x-amz-storage-class': 'STANDARD_IA',
    },
    '0123456789',
  );
  assert.equal(put.headers['x-amz-checksum-sha256'], sha256);
  assert.equal(put.headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key-1');
  assert.notEqual(put.headers['etag'], '"781e5e245d69b566979b86e28d23f2c7"', 'under KMS the ETag is no MD5');

  for (const method of ['HEAD', 'GET']) {
    const { status, headers, text } = await client.send(method, '/archive/a');
    assert.equal(status, 200);
    assert.equal(text, method === 'GET' ? '0123456789' : '');
    assert.equal(headers['content-length'], '10');
    assert.equal(headers['content-type'], 'text/plain');
    assert.equal(headers['x-amz-meta-origin'], 'test');
    assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms');
    assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA');
    assert.equal(headers['etag'], put.headers['etag']);
    assert.equal(headers['x-amz-version-id'], put.headers['x-amz-version-id']);
    assert.equal(headers['x-amz-checksum-sha256'], undefined, 'unless asked for');
    assert.equal(headers['x-amz-object-lock-mode'], undefined);
    const asked = await client.send(method, '/archive/a', { 'x-amz-checksum-mode': 'ENABLED' });
    assert.equal(asked.headers['x-amz-checksum-sha256'], sha256);
    assert.equal(asked.headers['x-amz-checksum-type'], 'FULL_OBJECT');
  }
  assert.equal(server.object('a')?.headers['x-amz-meta-origin'], 'test');

  const plain = await client.send('PUT', '/archive/b', {}, '0123456789');
  assert.equal(plain.headers['etag'], '"781e5e245d69b566979b86e28d23f2c7"');
  assert.equal(plain.headers['x-amz-server-side-encryption'], 'AES256');
});

test('ranges', async () => {
  const { server, client } = await stage();
  await using _ = server;
  await client.send('PUT', '/archive/a', {}, '0123456789');
  const ranges: [range: string, status: number, text: string, said: string | undefined][] = [
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=-100', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=5-2', 200, '0123456789', undefined],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['lines=0-1', 200, '0123456789', undefined],
  ];
  for (const [range, status, text, said] of ranges) {
    const answer = await client.send('GET', '/archive/a', { range });
    assert.deepEqual(
      [answer.status, answer.text, answer.headers['content-range']],
      [status, text, said],
      range,
    );
  }
  for (const range of ['bytes=10-', 'bytes=10-12', 'bytes=-0'])
    assert.equal((await client.send('GET', '/archive/a', { range })).code, 'InvalidRange', range);
});

test('put only where nothing is', async () => {
  const { server, client } = await stage();
  await using _ = server;
  const put = (body: string) => client.send('PUT', '/archive/a', { 'if-none-match': '*' }, body);
  assert.equal((await put('first')).status, 200);
  const second = await put('second');
  assert.deepEqual([second.status, second.code], [412, 'PreconditionFailed']);
  assert.equal(server.object('a')?.bytes.toString(), 'first');
  await client.send('DELETE', '/archive/a');
  assert.equal((await put('third')).status, 200, 'a marker is nothing');
});

test('what it does not know it does not pass over', async () => {
  const { server, client } = await stage();
  await using _ = server;
  await client.send('PUT', '/archive/a', {}, 'a line');
  const unknown: [method: string, place: string, headers?: Record<string, string>][] = [
    ['GET', '/archive/a?acl'],
    ['GET', '/archive/a?partNumber=1'],
    ['PUT', '/archive/a?tagging'],
    ['PUT', '/archive/a?legal-hold'],
    ['PUT', '/archive?object-lock'],
    ['POST', '/archive?delete'],
    ['GET', '/archive?list-type=2&metadata=true'],
    ['PUT', '/archive'],
    ['DELETE', '/archive'],
    ['GET', '/'],
    ['PUT', '/archive/b', { 'x-amz-copy-source': '/archive/a' }],
    ['PUT', '/archive/b', { 'x-amz-tagging': 'a=b' }],
    ['PUT', '/archive/b', { 'if-match': '"x"' }],
    ['GET', '/archive/a', { 'if-none-match': '"x"' }],
    ['GET', '/archive/a', { 'x-amz-expected-bucket-owner': '000000000000' }],
  ];
  for (const [method, place, headers = {}] of unknown) {
    const answer = await client.send(method, place, headers);
    assert.deepEqual([answer.status, answer.code], [501, 'NotImplemented'], `${method} ${place}`);
  }
  assert.equal(server.refused.length, unknown.length);
  assert.deepEqual(server.keys(), ['a']);
  const wrong: [place: string, headers: Record<string, string>, code: string][] = [
    ['/archive/b', { 'x-amz-server-side-encryption': 'rot13' }, 'InvalidArgument'],
    ['/archive/b', { 'x-amz-server-side-encryption-aws-kms-key-id': 'key' }, 'InvalidArgument'],
    ['/archive/b', { 'x-amz-storage-class': 'SHELF' }, 'InvalidStorageClass'],
    ['/archive/b', { 'x-amz-meta-a': 'x'.repeat(2048) }, 'MetadataTooLarge'],
    ['/archive/b', { 'x-amz-sdk-checksum-algorithm': 'SHA256' }, 'InvalidRequest'],
    [`/archive/${'b'.repeat(1025)}`, {}, 'KeyTooLongError'],
    ['/archive/%ff', {}, 'InvalidURI'],
    ['/other/b', {}, 'NoSuchBucket'],
  ];
  for (const [place, headers, code] of wrong)
    assert.equal((await client.send('PUT', place, headers, 'a line')).code, code, place);
  assert.equal((await client.send('GET', '/archive/a?versionId=unknown')).code, 'InvalidArgument');
  assert.equal((await client.send('DELETE', '/archive/a?versionId=unknown')).code, 'InvalidArgument');
  assert.equal((await client.send('HEAD', '/archive/b')).status, 404);
  assert.deepEqual(server.refused.at(-1), { code: 'NoSuchKey', key: 'b' });
});

test('faults: before, after, instead of what was asked', async () => {
  const { server, client } = await stage();
  await using _ = server;
  const put = (body: string) => client.send('PUT', '/archive/a', {}, body);
  server.fault = ({ method, key }) => (method === 'PUT' && key === 'a' ? 'error-500' : null);
  assert.deepEqual([(await put('1')).status, (await put('1')).code], [500, 'InternalError']);
  assert.equal((await client.send('PUT', '/archive/b', {}, '1')).status, 200);
  server.fault = () => 'slow-down';
  assert.deepEqual([(await put('1')).status, (await put('1')).code], [503, 'SlowDown']);
  server.fault = () => 'error-in-200';
  assert.deepEqual([(await put('1')).status, (await put('1')).code], [200, 'InternalError']);
  server.fault = () => 'cut';
  await assert.rejects(put('1'), { code: 'ECONNRESET' });
  assert.deepEqual([server.object('a'), server.refused, server.requests.length], [null, [], 1]);
  server.fault = () => 'cut-after';
  await assert.rejects(put('2'), { code: 'ECONNRESET' });
  assert.equal(server.object('a')?.bytes.toString(), '2');
  assert.equal(server.requests.length, 2);
  const asked = Promise.withResolvers<void>();
  server.fault = () => {
    asked.resolve();
    return 'hang';
  };
  const hanging = assert.rejects(put('3'), { code: 'ECONNRESET' });
  await asked.promise;
  await server.stop();
  await hanging;
  await assert.rejects(put('4'), { code: 'ECONNREFUSED' });

  const { url } = server;
  server.fault = null;
  await server.restart();
  assert.equal(server.url, url);
  assert.equal((await client.send('GET', '/archive/a')).text, '2');
});

test('tampering leaves no trace but the contents', async () => {
  const { server, client } = await stage();
  await using _ = server;
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const put = await client.send(
    'PUT',
    '/archive/a',
    {
      'x-amz-checksum-sha256': base64Of('sha256', 'a line'),
      'x-amz-object-lock-mode': 'COMPLIANCE',
      'x-amz-object-lock-retain-until-date': until,
    },
    'a line',
  );
  server.tamper.replace('a', Buffer.from('another line'));
  const got = await client.send('GET', '/archive/a', { 'x-amz-checksum-mode': 'ENABLED' });
  assert.equal(got.text, 'another line');
  assert.equal(got.headers['x-amz-checksum-sha256'], base64Of('sha256', 'a line'));
  assert.equal(got.headers['etag'], put.headers['etag']);
  assert.equal(got.headers['x-amz-object-lock-mode'], 'COMPLIANCE');
  server.tamper.unlock('a');
  assert.equal(server.object('a')?.mode, null);
  server.tamper.remove('a');
  assert.equal((await client.send('GET', '/archive/a')).code, 'NoSuchKey');
  assert.throws(() => server.tamper.replace('b', Buffer.alloc(0)));
});
