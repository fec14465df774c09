import { test } from 'node:test';
import assert from 'node:assert/strict';
import { encodeKey, RawClient, type RawRequest } from './raw-client.ts';
import type { S3Request } from './request.ts';
import { S3Server } from './s3-server.ts';
import { verifySignature } from './signature.ts';

const account = {
  bucket: 'archive',
  region: 'eu-central-1',
  accessKeyId: 'AKIDTEST',
  secretAccessKey: 'a/secret+of=tests',
};

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, Examples: Signature Calculations
const reference = {
  region: 'us-east-1',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const referenceMs = Date.UTC(2013, 4, 24);
const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function example(
  method: string,
  path: string,
  query: string,
  headers: Record<string, string>,
  signature: string,
  body = '',
): S3Request {
  const all: Record<string, string> = {
    host: 'examplebucket.s3.amazonaws.com',
    'x-amz-content-sha256': emptySha256,
    'x-amz-date': '20130524T000000Z',
    ...headers,
  };
  const signed = Object.keys(all).toSorted().join(';');
  const authorization = `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signed},Signature=${signature}`;
  return {
    method,
    path,
    bucket: 'examplebucket',
    key: path.slice(1),
    query: new URLSearchParams(query),
    headers: new Map(Object.entries({ ...all, authorization })),
    body: Buffer.from(body),
  };
}

const examples = [
  example(
    'GET',
    '/test.txt',
    '',
    { range: 'bytes=0-9' },
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ),
  example(
    'PUT',
    '/test$file.text',
    '',
    {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    },
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    'Welcome to Amazon S3.',
  ),
  example('GET', '/', 'lifecycle', {}, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'),
  example(
    'GET',
    '/',
    'max-keys=2&prefix=J',
    {},
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ),
];

test('the examples of the reference are signed, and nothing else by their signatures', () => {
  for (const request of examples) {
    verifySignature(request, reference, referenceMs);
    const others: S3Request[] = [
      { ...request, method: 'DELETE' },
      { ...request, path: `${request.path}x` },
      { ...request, query: new URLSearchParams([...request.query, ['versionId', '1']]) },
      { ...request, headers: new Map([...request.headers, ['host', 'other.s3.amazonaws.com']]) },
    ];
    for (const other of others)
      assert.throws(() => verifySignature(other, reference, referenceMs), { code: 'SignatureDoesNotMatch' });
    const secretAccessKey = `${reference.secretAccessKey}x`;
    assert.throws(() => verifySignature(request, { ...reference, secretAccessKey }, referenceMs), {
      code: 'SignatureDoesNotMatch',
    });
  }
});

/** What is refused: what becomes of a good request for /archive/a after it has been signed, and S3's code. */
const changes: Record<string, [change: (request: RawRequest) => void, code: string]> = {
  'another body': [({ body }) => void body.write('X'), 'XAmzContentSHA256Mismatch'],
  'another body and its digest': [
    (request) => {
      request.body = Buffer.alloc(0);
      request.headers['x-amz-content-sha256'] = emptySha256;
    },
    'SignatureDoesNotMatch',
  ],
  'no word on the body': [
    ({ headers }) => {
      headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
    },
    'SignatureDoesNotMatch',
  ],
  'another header': [
    ({ headers }) => {
      headers['x-amz-meta-name'] = 'other';
    },
    'SignatureDoesNotMatch',
  ],
  'another type': [
    ({ headers }) => {
      headers['content-type'] = 'text/html';
    },
    'SignatureDoesNotMatch',
  ],
  'a signed header gone': [({ headers }) => delete headers['x-amz-meta-name'], 'SignatureDoesNotMatch'],
  'a header more': [
    ({ headers }) => {
      headers['x-amz-object-lock-mode'] = 'GOVERNANCE';
    },
    'AccessDenied',
  ],
  'a digest more': [
    ({ headers }) => {
      headers['content-md5'] = '1B2M2Y8AsgTpgAmY7PhCfg==';
    },
    'AccessDenied',
  ],
  'another key': [
    (request) => {
      request.path = '/archive/b';
    },
    'SignatureDoesNotMatch',
  ],
  'another subresource': [
    (request) => {
      request.query = 'retention';
    },
    'SignatureDoesNotMatch',
  ],
  'another method': [
    (request) => {
      request.method = 'POST';
    },
    'SignatureDoesNotMatch',
  ],
  'another time': [
    ({ headers }) => {
      headers['x-amz-date'] = headers['x-amz-date']!.replace(/\d\dZ$/, (end) =>
        end === '00Z' ? '01Z' : '00Z',
      );
    },
    'SignatureDoesNotMatch',
  ],
  'no time': [({ headers }) => delete headers['x-amz-date'], 'AccessDenied'],
  'no digest of the body': [({ headers }) => delete headers['x-amz-content-sha256'], 'InvalidRequest'],
  'no authorization': [({ headers }) => delete headers['authorization'], 'AccessDenied'],
  'another scheme': [
    ({ headers }) => {
      headers['authorization'] = 'AWS AKIDTEST:c2lnbmF0dXJl';
    },
    'InvalidRequest',
  ],
  'half an authorization': [
    ({ headers }) => {
      headers['authorization'] = headers['authorization']!.slice(0, -1);
    },
    'AuthorizationHeaderMalformed',
  ],
  'a body without a length': [
    ({ headers }) => {
      headers['transfer-encoding'] = 'chunked';
    },
    'NotImplemented',
  ],
};

for (const [name, [change, code]] of Object.entries(changes))
  test(`refused: ${name}`, async () => {
    await using server = await S3Server.start(account);
    const client = new RawClient(server.url, account);
    const headers = { 'x-amz-meta-name': 'one', 'content-type': 'text/plain' };
    assert.equal((await client.send('PUT', '/archive/a', headers, 'before')).status, 200);
    const answer = await client.send('PUT', '/archive/a', headers, 'a line', change);
    assert.equal(answer.code, code, answer.text);
    assert.deepEqual(
      server.refused.map((refusal) => refusal.code),
      [code],
    );
    assert.deepEqual(server.keys(), ['a']);
    assert.equal(server.object('a')?.bytes.toString(), 'before');
    assert.equal(server.requests.length, 1);
  });

test('refused: who is not the account, of another region, or of another time', async () => {
  let nowMs = Date.UTC(2026, 0, 2, 12);
  await using server = await S3Server.start({ ...account, nowMs: () => nowMs });
  const code = async (credentials: object, atMs = nowMs): Promise<string | null> => {
    const client = new RawClient(server.url, { ...account, ...credentials }, () => atMs);
    return (await client.send('PUT', '/archive/a', {}, 'a line')).code;
  };
  assert.equal(await code({}), null);
  assert.equal(await code({ secretAccessKey: 'other' }), 'SignatureDoesNotMatch');
  assert.equal(await code({ accessKeyId: 'AKIDOTHER' }), 'InvalidAccessKeyId');
  assert.equal(await code({ region: 'us-east-1' }), 'AuthorizationHeaderMalformed');
  assert.equal(await code({ sessionToken: 'unknown' }), 'InvalidToken');
  const minute = 60_000;
  for (const minutes of [-16, 16, 24 * 60])
    assert.equal(await code({}, nowMs + minutes * minute), 'RequestTimeTooSkewed');
  for (const minutes of [-14, 14]) assert.equal(await code({}, nowMs + minutes * minute), null);
  const before = nowMs;
  nowMs += 20 * minute;
  assert.equal(await code({}, before), 'RequestTimeTooSkewed');
});

test('a session token has to be the right one, and signed', async () => {
  await using server = await S3Server.start({ ...account, sessionToken: 'token+of/a session==' });
  const send = async (sessionToken: string | undefined, change?: (request: RawRequest) => void) => {
    const credentials = { ...account, ...(sessionToken !== undefined && { sessionToken }) };
    return (await new RawClient(server.url, credentials).send('PUT', '/archive/a', {}, 'a line', change))
      .code;
  };
  assert.equal(await send('token+of/a session=='), null);
  assert.equal(await send('token+of/a session='), 'InvalidToken');
  assert.equal(await send(undefined), 'InvalidAccessKeyId');
  const unsigned = await send(undefined, ({ headers }) => {
    headers['x-amz-security-token'] = 'token+of/a session==';
  });
  assert.equal(unsigned, 'AccessDenied');
});

test('keys and values with every sign are signed as they are encoded', async () => {
  await using server = await S3Server.start(account);
  const client = new RawClient(server.url, account);
  const key = 'ü /+%&=?#!\'()*~$@,;:\\"<>|^`{}[]\u{1F600}//./..';
  const encoded = encodeKey(key);
  assert.equal((await client.send('PUT', `/archive/${encoded}`, {}, 'a line')).status, 200);
  assert.deepEqual(server.keys(), [key]);
  assert.equal((await client.send('GET', `/archive/${encoded}`)).text, 'a line');
  // encodeURIComponent leaves signs that the specification encodes.
  const left = encodeURIComponent("!'()*");
  assert.equal((await client.send('PUT', `/archive/${left}`, {}, 'a line')).code, 'SignatureDoesNotMatch');
});
