import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { missing } from '../programs.ts';
import { S3Server } from './s3-server.ts';

const run = promisify(execFile);
const account = {
  bucket: 'archive',
  region: 'eu-central-1',
  accessKeyId: 'AKIDTEST',
  secretAccessKey: 'a/secret+of=tests',
};

test('s3cmd, a foreign client, puts, lists, gets and deletes', { skip: missing('s3cmd') }, async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-s3-'));
  after(() => rmSync(directory, { recursive: true }));
  await using server = await S3Server.start({ ...account, pageSize: 2 });
  const host = server.url.slice('http://'.length);
  const configured = (secret: string): string => {
    const file = path.join(directory, `s3cmd-${secret.length}`);
    const settings = {
      access_key: account.accessKeyId,
      secret_key: secret,
      host_base: host,
      host_bucket: host,
      use_https: 'False',
      bucket_location: account.region,
      multipart_chunk_size_mb: '5',
      max_retries: '0',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    writeFileSync(file, ['[default]', ...lines, ''].join('\n'), { mode: 0o600 });
    return file;
  };
  const right = configured(account.secretAccessKey);
  const s3cmd = async (...words: string[]): Promise<string> => {
    const { stdout } = await run('s3cmd', ['-c', right, '--no-progress', ...words]);
    return stdout;
  };

  const small = path.join(directory, 'small');
  writeFileSync(small, 'a line\n');
  const keys = ['log/über und+unter $&@=,;:(1).txt', 'log/a', 'log/b', 'other/c', 'z'];
  for (const key of keys) await s3cmd('put', small, `s3://archive/${key}`);
  assert.deepEqual(server.keys(), keys.toSorted());
  assert.equal(server.object('z')?.bytes.toString(), 'a line\n');

  const listed = await s3cmd('ls', '--recursive', 's3://archive');
  for (const key of keys) assert.ok(listed.includes(`s3://archive/${key}\n`), listed);
  const top = await s3cmd('ls', 's3://archive');
  assert.deepEqual([...top.matchAll(/s3:\/\/archive\/(.*)/g)].map(([, name]) => name).toSorted(), [
    'log/',
    'other/',
    'z',
  ]);

  const large = path.join(directory, 'large');
  writeFileSync(large, randomBytes(11 * 1024 * 1024));
  await s3cmd('put', large, 's3://archive/large');
  const copy = path.join(directory, 'copy');
  await s3cmd('get', 's3://archive/large', copy);
  assert.ok(readFileSync(copy).equals(readFileSync(large)));
  assert.equal(server.requests.filter(({ query }) => query.includes('partNumber')).length, 3);
  assert.equal(server.unfinishedUploads, 0);

  await s3cmd('del', 's3://archive/z');
  assert.equal(server.object('z'), null);

  assert.deepEqual(server.refused, []);

  const wrong = configured('not the secret');
  await assert.rejects(
    run('s3cmd', ['-c', wrong, 'put', small, 's3://archive/wrong']),
    /SignatureDoesNotMatch/,
  );
  assert.equal(server.object('wrong'), null);
});
