import { test } from 'node:test';
import assert from 'node:assert/strict';
import { encodeKey, RawClient } from './raw-client.ts';
import { S3Server, type S3Options } from './s3-server.ts';

const account = {
  bucket: 'archive',
  region: 'eu-central-1',
  accessKeyId: 'AKIDTEST',
  secretAccessKey: 'secret',
};

async function stage(options: Partial<S3Options> = {}) {
  const server = await S3Server.start({ ...account, ...options });
  const client = new RawClient(server.url, account);
  const put = (key: string) => client.send('PUT', `/archive/${encodeKey(key)}`, {}, key);

  /** Every page, until the server says that there is none behind it. */
  async function pages(query: string): Promise<string[][]> {
    const found: string[][] = [];
    let token = '';
    do {
      const next = token === '' ? '' : `&continuation-token=${encodeURIComponent(token)}`;
      const answer = await client.send('GET', `/archive?list-type=2${query}${next}`);
      assert.equal(answer.status, 200, answer.text);
      const names = [
        ...RawClient.all(answer, 'Key'),
        ...RawClient.all(answer, 'CommonPrefixes').map((prefix) =>
          prefix.slice('<Prefix>'.length, -'</Prefix>'.length),
        ),
      ];
      assert.equal(RawClient.text(answer, 'KeyCount'), String(names.length));
      found.push(names);
      token = RawClient.text(answer, 'NextContinuationToken');
      assert.equal(RawClient.text(answer, 'IsTruncated'), String(token !== ''));
    } while (token !== '');
    return found;
  }
  return { server, client, put, pages };
}

test('a listing is in the order of bytes, and goes on where a page ended', async () => {
  const { server, client, put, pages } = await stage({ pageSize: 2 });
  await using _ = server;
  for (const key of ['b/2', 'a', 'b/1', '\u{1F600}', '\uFF5E', 'c', 'b/3', 'gone', 'd/1']) await put(key);
  await client.send('DELETE', '/archive/gone');
  assert.deepEqual(await pages(''), [
    ['a', 'b/1'],
    ['b/2', 'b/3'],
    ['c', 'd/1'],
    ['\uFF5E', '\u{1F600}'],
  ]);
  assert.deepEqual(await pages('&max-keys=3&prefix=b%2F'), [['b/1', 'b/2'], ['b/3']]);
  assert.deepEqual(await pages('&delimiter=%2F'), [
    ['a', 'b/'],
    ['c', 'd/'],
    ['\uFF5E', '\u{1F600}'],
  ]);
  assert.deepEqual(await pages('&prefix=b%2F&delimiter=%2F'), [['b/1', 'b/2'], ['b/3']]);
  assert.deepEqual(await pages('&start-after=c'), [['d/1', '\uFF5E'], ['\u{1F600}']]);
  assert.deepEqual(await pages('&max-keys=1&start-after=b%2F2'), [
    ['b/3'],
    ['c'],
    ['d/1'],
    ['\uFF5E'],
    ['\u{1F600}'],
  ]);
  assert.deepEqual(await pages('&prefix=none'), [[]]);
  assert.deepEqual(await pages('&max-keys=0'), [[]]);
  assert.deepEqual((await pages('&encoding-type=url')).at(-1), ['%EF%BD%9E', '%F0%9F%98%80']);
});

test('a key that is put or deleted between pages moves no other', async () => {
  const { server, client, put } = await stage({ pageSize: 2 });
  await using _ = server;
  for (const key of ['a', 'b', 'c', 'd']) await put(key);
  const first = await client.send('GET', '/archive?list-type=2');
  await client.send('DELETE', '/archive/b');
  await put('aa');
  const token = encodeURIComponent(RawClient.text(first, 'NextContinuationToken'));
  const second = await client.send('GET', `/archive?list-type=2&continuation-token=${token}`);
  assert.deepEqual(RawClient.all(second, 'Key'), ['c', 'd']);
});

test('at most 1000 at once', async () => {
  const { server, client, pages } = await stage();
  await using _ = server;
  for (let number = 0; number < 1001; number += 1) await client.send('PUT', `/archive/${number}`, {}, '');
  const lengths = async (query: string) => (await pages(query)).map(({ length }) => length);
  assert.deepEqual(await lengths('&max-keys=100000'), [1000, 1]);
});

test('names that XML cannot bear as they are', async () => {
  const { server, client, put } = await stage();
  await using _ = server;
  await put('<a>&"\'\r\n');
  const listed = await client.send('GET', '/archive?list-type=2');
  assert.equal(RawClient.text(listed, 'Key'), "&#60;a&#62;&#38;&#34;'&#xD;\n");
});

test('versions: newest first, markers among them, by pages within a key', async () => {
  const { server, client, put } = await stage({ pageSize: 2 });
  await using _ = server;
  const ids: Record<string, string> = {};
  const name = (label: string, { headers }: { headers: Readonly<Record<string, string>> }) => {
    ids[headers['x-amz-version-id'] ?? ''] = label;
  };
  for (const label of ['a1', 'a2', 'a3']) name(label, await put('a'));
  name('b1', await put('b'));
  name('b2', await client.send('DELETE', '/archive/b'));
  name('b3', await put('b'));
  name('c1', await client.send('DELETE', '/archive/c'));

  const entries = (text: string) =>
    [
      ...text.matchAll(
        /<(Version|DeleteMarker)><Key>(.*?)<\/Key><VersionId>(.*?)<\/VersionId><IsLatest>(.*?)<\/IsLatest>/g,
      ),
    ].map(
      ([, kind, , id = '', latest]) =>
        `${ids[id]}${kind === 'DeleteMarker' ? ' marker' : ''}${latest === 'true' ? ' latest' : ''}`,
    );
  const page = async (marker: string, prefix = '') => {
    const answer = await client.send('GET', `/archive?versions${prefix}${marker}`);
    const next = [RawClient.text(answer, 'NextKeyMarker'), RawClient.text(answer, 'NextVersionIdMarker')];
    assert.equal(RawClient.text(answer, 'IsTruncated'), String(next[0] !== ''));
    return {
      found: entries(answer.text),
      next: next[0] === '' ? null : `&key-marker=${next[0]}&version-id-marker=${next[1]}`,
    };
  };
  const found: string[][] = [];
  for (let marker: string | null = ''; marker !== null;) {
    const { found: some, next }: Awaited<ReturnType<typeof page>> = await page(marker);
    found.push(some);
    marker = next;
    // What the next page begins behind is gone by then.
    if (found.length === 1) {
      const id = Object.keys(ids).find((candidate) => ids[candidate] === 'a2');
      assert.equal((await client.send('DELETE', `/archive/a?versionId=${id}`)).status, 204);
    }
  }
  assert.deepEqual(found, [
    ['a3 latest', 'a2'],
    ['a1', 'b3 latest'],
    ['b2 marker', 'b1'],
    ['c1 marker latest'],
  ]);
  assert.deepEqual((await page('', '&prefix=c')).found, ['c1 marker latest']);
  assert.deepEqual((await page('&key-marker=a')).found, ['b3 latest', 'b2 marker']);
  assert.deepEqual(server.keys(), ['a', 'b']);
  assert.equal((await client.send('GET', '/archive?versions&version-id-marker=x')).code, 'InvalidArgument');
});

test('what a listing is asked wrongly', async () => {
  const { server, client } = await stage();
  await using _ = server;
  const wrong = [
    'list-type=1',
    'list-type=2&max-keys=many',
    'list-type=2&max-keys=-1',
    'list-type=2&continuation-token=a',
    'list-type=2&encoding-type=rot13',
  ];
  for (const query of wrong)
    assert.equal((await client.send('GET', `/archive?${query}`)).code, 'InvalidArgument', query);
});
