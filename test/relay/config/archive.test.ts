/** `evidence.archive`: what a place may be, and what is refused before anything is sent there. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ArchiveFile, archiveProblems, resolveArchive } from '../../../src/relay/config/archive.ts';

const keys = { accessKeyId: 'env:ID', secretAccessKey: 'file:secret' };
const s3 = { region: 'eu-central-1', bucket: 'hoop-evidence', credentials: keys };

/** `path message` of each problem; of one that has not even the shape, `path`. */
function problems(archive: object): string[] {
  const parsed = ArchiveFile.safeParse(archive);
  if (!parsed.success) return parsed.error.issues.map(({ path }) => path.join('.'));
  return [...archiveProblems(parsed.data)].map(({ path, message }) => `${path.join('.')} ${message}`);
}

test('a directory, or a bucket with everything that it may have', () => {
  assert.equal(resolveArchive(undefined, '/etc/hoop'), null);
  assert.deepEqual(resolveArchive(ArchiveFile.parse({ directory: 'archive' }), '/etc/hoop'), {
    place: { kind: 'directory', directory: '/etc/hoop/archive' },
    keepLocalMs: 7 * 86_400_000,
  });
  const least = resolveArchive(ArchiveFile.parse({ s3 }), '/etc/hoop')!;
  assert.ok(least.place.kind === 's3');
  const { endpoint, pathStyle, prefix, lock, encryption, partBytes, ca } = least.place.s3;
  assert.deepEqual(
    { endpoint, pathStyle, prefix, lock, encryption, partBytes, ca },
    {
      endpoint: 'https://s3.eu-central-1.amazonaws.com',
      pathStyle: false,
      prefix: '',
      lock: null,
      encryption: null,
      partBytes: 16 * 2 ** 20,
      ca: null,
    },
  );
  const whole = resolveArchive(
    ArchiveFile.parse({
      keepLocal: '0s',
      s3: {
        ...s3,
        endpoint: 'https://minio.example.com:9000/',
        prefix: 'relays/a',
        lock: { mode: 'governance', retain: '30d' },
        encryption: 'aws:kms',
        kmsKeyId: 'key-7',
        partSize: '64MiB',
      },
    }),
    '/etc/hoop',
  )!;
  assert.ok(whole.place.kind === 's3');
  const { s3: options } = whole.place;
  assert.deepEqual(
    [
      options.endpoint,
      options.pathStyle,
      options.prefix,
      options.lock,
      options.encryption,
      options.partBytes,
    ],
    ['https://minio.example.com:9000', true, 'relays/a/', { mode: 'governance', retainMs: 30 * 86_400_000 }, { kind: 'aws:kms', keyId: 'key-7' }, 2 ** 26], // prettier-ignore
  );
  assert.equal(whole.keepLocalMs, 0);
});

test('what it cannot be', () => {
  const with_ = (changes: object) => problems({ s3: { ...s3, ...changes } });
  assert.deepEqual(problems({ directory: 'a' }), []);
  assert.deepEqual(problems({ s3 }), []);
  assert.deepEqual(problems({}), ['evidence.archive expected directory or s3, one of them']);
  assert.deepEqual(problems({ directory: 'a', s3 }), [
    'evidence.archive expected directory or s3, one of them',
  ]);
  assert.deepEqual(with_({ endpoint: 'http://127.0.0.1:9000' }), []);
  assert.deepEqual(with_({ endpoint: 'http://minio.example.com' }), [
    'evidence.archive.s3.endpoint expected https: evidence does not travel in plain text',
  ]);
  assert.deepEqual(with_({ kmsKeyId: 'k' }), ['evidence.archive.s3.kmsKeyId only with encryption: aws:kms']);
  const credentials = (given: object) => with_({ credentials: given });
  assert.deepEqual(credentials({ command: ['aws'] }), []);
  assert.deepEqual(credentials({}), [
    'evidence.archive.s3.credentials expected accessKeyId and secretAccessKey, or command',
  ]);
  assert.deepEqual(credentials({ ...keys, command: ['aws'] }), [
    'evidence.archive.s3.credentials.accessKeyId expected keys or command, not both',
    'evidence.archive.s3.credentials.secretAccessKey expected keys or command, not both',
  ]);
  assert.deepEqual(credentials({ ...keys, secretAccessKey: 'wJalrXUtnFEMI' }), [
    'evidence.archive.s3.credentials.secretAccessKey a secret does not belong in this file: use env:NAME or file:PATH',
  ]);
  for (const [name, value] of [
    ['region', 'eu central'],
    ['bucket', 'Has_Capitals'],
    ['prefix', '../elsewhere'],
    ['prefix', 'a//b'],
    ['prefix', '/a'],
    ['endpoint', 'https://user:pass@minio.example.com'],
    ['partSize', '1MiB'],
    ['encryption', 'rot13'],
    ['lock', { mode: 'compliance' }],
    ['bucketName', 'x'],
  ] as const)
    assert.equal(with_({ [name]: value }).length, 1, `${name} ${JSON.stringify(value)}`);
  // A pattern that went back would take for ever.
  assert.equal(with_({ prefix: `${'a'.repeat(50_000)}!` }).length, 1);
});
