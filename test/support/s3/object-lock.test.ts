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
const day = 24 * 60 * 60_000;
const startMs = Date.UTC(2026, 0, 1);
const after = (days: number): string => new Date(startMs + days * day).toISOString();

async function stage(options: Partial<S3Options> = {}) {
  const clock = { nowMs: startMs };
  const nowMs = (): number => clock.nowMs;
  const server = await S3Server.start({ ...account, nowMs, ...options });
  const client = new RawClient(server.url, account, nowMs);
  const put = (headers: Record<string, string>, body = 'a line') =>
    client.send('PUT', '/archive/a', headers, body);
  const retain = (xml: string, headers: Record<string, string> = {}, place = '/archive/a?retention') =>
    client.send('PUT', place, { 'content-md5': base64Of('md5', xml), ...headers }, xml);
  return { clock, server, client, put, retain };
}

const locked = (mode: string, days: number): Record<string, string> => ({
  'x-amz-object-lock-mode': mode,
  'x-amz-object-lock-retain-until-date': after(days),
  'x-amz-checksum-sha256': base64Of('sha256', 'a line'),
});
const retention = (mode: string, days: number): string =>
  `<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>${mode}</Mode><RetainUntilDate>${after(days)}</RetainUntilDate></Retention>`;
const bypass = { 'x-amz-bypass-governance-retention': 'true' };

test('a locked version stays until its time has come, whoever asks', async () => {
  const { clock, server, client, put } = await stage();
  await using _ = server;
  const version = (await put(locked('COMPLIANCE', 10))).headers['x-amz-version-id'];
  const head = await client.send('HEAD', '/archive/a');
  assert.equal(head.headers['x-amz-object-lock-mode'], 'COMPLIANCE');
  assert.equal(head.headers['x-amz-object-lock-retain-until-date'], after(10));
  assert.equal(server.object('a')?.mode, 'COMPLIANCE');
  assert.equal(server.object('a')?.retainUntil?.toISOString(), after(10));

  const removal = `/archive/a?versionId=${version}`;
  for (const headers of [{}, bypass])
    assert.equal((await client.send('DELETE', removal, headers)).code, 'AccessDenied');
  assert.equal(server.object('a')?.versions, 1);

  // Without a version, a marker hides what stays.
  const marker = await client.send('DELETE', '/archive/a');
  assert.equal(marker.status, 204);
  assert.equal(marker.headers['x-amz-delete-marker'], 'true');
  assert.equal(server.object('a'), null);
  const hidden = await client.send('GET', '/archive/a');
  assert.deepEqual(
    [hidden.status, hidden.code, hidden.headers['x-amz-delete-marker']],
    [404, 'NoSuchKey', 'true'],
  );
  assert.equal((await client.send('GET', removal)).text, 'a line');
  const asked = await client.send('GET', `/archive/a?versionId=${marker.headers['x-amz-version-id']}`);
  assert.deepEqual([asked.status, asked.code], [405, 'MethodNotAllowed']);
  await client.send('DELETE', `/archive/a?versionId=${marker.headers['x-amz-version-id']}`);
  assert.equal(server.object('a')?.versions, 1);

  // Another version does not touch it either.
  await put({}, 'another line');
  assert.equal((await client.send('GET', removal)).text, 'a line');

  clock.nowMs = startMs + 10 * day - 1;
  assert.equal((await client.send('DELETE', removal)).code, 'AccessDenied');
  clock.nowMs += 1;
  assert.equal((await client.send('DELETE', removal)).status, 204);
  assert.equal((await client.send('GET', removal)).code, 'NoSuchVersion');
  assert.equal(server.object('a')?.bytes.toString(), 'another line');
});

test('governance yields to who may bypass it and says so', async () => {
  const { server, client, put } = await stage();
  await using _ = server;
  const version = (await put(locked('GOVERNANCE', 10))).headers['x-amz-version-id'];
  const removal = `/archive/a?versionId=${version}`;
  assert.equal((await client.send('DELETE', removal)).code, 'AccessDenied');
  const no = { 'x-amz-bypass-governance-retention': 'false' };
  assert.equal((await client.send('DELETE', removal, no)).code, 'AccessDenied');
  assert.equal((await client.send('DELETE', removal, bypass)).status, 204);
  assert.deepEqual(server.keys(), []);
});

test('a lock is asked for wholly, rightly, with a digest, or not at all', async () => {
  const { server, put } = await stage();
  await using _ = server;
  const { 'x-amz-checksum-sha256': digest = '', ...bare } = locked('COMPLIANCE', 1);
  const { 'x-amz-object-lock-mode': mode = '', 'x-amz-object-lock-retain-until-date': until = '' } = bare;
  const refused: [headers: Record<string, string>, code: string][] = [
    [bare, 'InvalidRequest'],
    [{ 'x-amz-object-lock-mode': mode, 'x-amz-checksum-sha256': digest }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-retain-until-date': until, 'x-amz-checksum-sha256': digest }, 'InvalidArgument'],
    [locked('LOOSE', 1), 'InvalidArgument'],
    [locked('COMPLIANCE', 0), 'InvalidArgument'],
    [locked('COMPLIANCE', -1), 'InvalidArgument'],
    [
      { ...locked('COMPLIANCE', 1), 'x-amz-object-lock-retain-until-date': '1 January 2030' },
      'InvalidArgument',
    ],
    [{ ...locked('COMPLIANCE', 1), 'x-amz-checksum-sha256': base64Of('sha256', 'other') }, 'BadDigest'],
    [{ ...bare, 'content-md5': base64Of('md5', 'other') }, 'BadDigest'],
    [{ ...bare, 'content-md5': 'not a digest' }, 'InvalidDigest'],
    [{ ...bare, 'x-amz-checksum-sha256': digest.slice(4) }, 'InvalidRequest'],
    [{ ...bare, 'x-amz-checksum-crc32': 'AAAAAA==' }, 'NotImplemented'],
    [{ ...bare, 'x-amz-object-lock-legal-hold': 'ON' }, 'NotImplemented'],
  ];
  for (const [headers, code] of refused)
    assert.equal((await put(headers)).code, code, JSON.stringify(headers));
  assert.deepEqual(
    server.refused.map(({ code }) => code),
    refused.map(([, code]) => code),
  );
  assert.deepEqual(server.keys(), []);
  assert.equal((await put({ ...bare, 'content-md5': base64Of('md5', 'a line') })).status, 200);
});

test('retention: compliance is prolonged alone, governance loosened by who may bypass it', async () => {
  const { clock, server, client, put, retain } = await stage();
  await using _ = server;
  const steps: [from: [string, number], to: string, headers: Record<string, string>, code: string | null][] =
    [
      [['COMPLIANCE', 10], retention('COMPLIANCE', 11), {}, null],
      [['COMPLIANCE', 10], retention('COMPLIANCE', 10), {}, null],
      [['COMPLIANCE', 10], retention('COMPLIANCE', 9), bypass, 'AccessDenied'],
      [['COMPLIANCE', 10], retention('GOVERNANCE', 11), bypass, 'AccessDenied'],
      [['COMPLIANCE', 10], '<Retention/>', bypass, 'AccessDenied'],
      [['GOVERNANCE', 10], retention('GOVERNANCE', 11), {}, null],
      [['GOVERNANCE', 10], retention('GOVERNANCE', 9), {}, 'AccessDenied'],
      [['GOVERNANCE', 10], retention('GOVERNANCE', 9), bypass, null],
      [['GOVERNANCE', 10], retention('COMPLIANCE', 11), {}, 'AccessDenied'],
      [['GOVERNANCE', 10], retention('COMPLIANCE', 11), bypass, null],
      [['GOVERNANCE', 10], '<Retention/>', {}, 'AccessDenied'],
      [['GOVERNANCE', 10], '<Retention/>', bypass, null],
    ];
  for (const [[mode, days], to, headers, code] of steps) {
    await put(locked(mode, days));
    const answer = await retain(to, headers);
    assert.equal(answer.code, code, `${mode} ${to}`);
    const told = await client.send('GET', '/archive/a?retention');
    const expected =
      code === null
        ? /<Mode>(.*)<\/Mode><RetainUntilDate>(.*)<\/RetainUntilDate>/.exec(to)?.slice(1)
        : [mode, after(days)];
    const found = [RawClient.text(told, 'Mode'), RawClient.text(told, 'RetainUntilDate')];
    assert.deepEqual(found, expected ?? ['', '']);
    assert.equal(told.code, expected ? null : 'NoSuchObjectLockConfiguration');
  }
  await put(locked('COMPLIANCE', 10));
  clock.nowMs = startMs + 11 * day;
  assert.equal((await retain(retention('GOVERNANCE', 12))).code, null, 'what has ended binds nobody');
});

test('retention is of a version, and put with a digest, in XML that can be read', async () => {
  const { server, client, put, retain } = await stage();
  await using _ = server;
  const first = (await put({})).headers['x-amz-version-id'];
  await put({}, 'another line');
  assert.equal(
    (await retain(retention('COMPLIANCE', 1), {}, `/archive/a?retention&versionId=${first}`)).status,
    200,
  );
  assert.equal((await client.send('GET', '/archive/a?retention')).code, 'NoSuchObjectLockConfiguration');
  assert.equal((await client.send('DELETE', `/archive/a?versionId=${first}`)).code, 'AccessDenied');
  assert.equal(
    RawClient.text(await client.send('GET', `/archive/a?retention&versionId=${first}`), 'Mode'),
    'COMPLIANCE',
  );

  assert.equal(
    (await client.send('PUT', '/archive/a?retention', {}, retention('COMPLIANCE', 1))).code,
    'InvalidRequest',
  );
  assert.equal((await retain(retention('COMPLIANCE', 0))).code, 'InvalidArgument');
  const broken = [
    '',
    'text',
    '<Retention>',
    '<Retention><Mode>COMPLIANCE</Mode></Retention>',
    '<!DOCTYPE x><Retention/>',
    '<Retention/><Retention/>',
    '<Retention><Mode>&x;</Mode></Retention>',
  ];
  for (const text of broken) assert.equal((await retain(text)).code, 'MalformedXML', text);
  assert.equal((await retain(retention('COMPLIANCE', 1), {}, '/archive/b?retention')).code, 'NoSuchKey');
  await client.send('DELETE', '/archive/a');
  assert.equal((await retain(retention('COMPLIANCE', 1))).code, 'NoSuchKey');
});

test('the bucket says what it is', async () => {
  const on = await stage();
  await using first = on.server;
  assert.equal(RawClient.text(await on.client.send('GET', '/archive?versioning'), 'Status'), 'Enabled');
  assert.equal(
    RawClient.text(await on.client.send('GET', '/archive?object-lock'), 'ObjectLockEnabled'),
    'Enabled',
  );
  assert.equal((await on.client.send('HEAD', '/archive')).headers['x-amz-bucket-region'], account.region);
  assert.equal((await on.client.send('GET', '/other?versioning')).code, 'NoSuchBucket');
  assert.ok(first.refused.length === 1);

  const off = await stage({ objectLock: false });
  await using server = off.server;
  assert.equal(
    (await off.client.send('GET', '/archive?object-lock')).code,
    'ObjectLockConfigurationNotFoundError',
  );
  assert.equal(RawClient.text(await off.client.send('GET', '/archive?versioning'), 'Status'), '');
  assert.equal((await off.put(locked('COMPLIANCE', 1))).code, 'InvalidRequest');
  assert.equal((await off.retain(retention('COMPLIANCE', 1))).code, 'InvalidRequest');
  assert.equal((await off.put({})).headers['x-amz-version-id'], undefined);
  await off.put({}, 'another line');
  assert.equal(server.object('a')?.versions, 1);
  assert.equal((await off.client.send('DELETE', '/archive/a')).headers['x-amz-delete-marker'], undefined);
  assert.deepEqual(server.keys(), []);
});
