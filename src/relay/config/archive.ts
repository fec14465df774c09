/** `evidence.archive` of `relay.yaml`: where evidence is kept apart from the relay. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { credentialsOfProgram, type CredentialSource } from '../archive/s3/credentials.ts';
import type { S3StoreOptions } from '../archive/s3/s3-store.ts';
import { isLoopback } from './loopback.ts';
import { reference, SecretReference } from './secret.ts';
import { closed, durationMs, file, oneOf, parsed, sizeBytes, text, url } from './shapes.ts';

export interface ArchiveConfig {
  readonly place: ArchivePlace;
  /** How long recordings of a session that is over stay here too, once the archive has them. */
  readonly keepLocalMs: number;
}

export type ArchivePlace =
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 's3'; readonly s3: S3StoreOptions };

const matching = (pattern: RegExp, expected: string) =>
  parsed((value) => (pattern.test(value) ? value : null), expected);

const secret = text('env:NAME or file:PATH', 4096);

const S3File = closed({
  endpoint: url('the URL of the service', ['https:', 'http:']).optional(),
  region: matching(/^[a-z0-9-]{1,64}$/, 'a region such as eu-central-1'),
  bucket: matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of a bucket'),
  prefix: matching(
    /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\/?$/,
    'a prefix such as relay-1/',
  ).optional(),
  pathStyle: z.boolean({ error: 'expected true or false' }).optional(),
  credentials: closed({
    accessKeyId: secret.optional(),
    secretAccessKey: secret.optional(),
    sessionToken: secret.optional(),
    command: z
      .array(text('a word', 4096))
      .min(1, 'expected a program')
      .max(64, 'expected at most 64 words')
      .optional(),
  }),
  lock: closed({ mode: oneOf('compliance', 'governance'), retain: durationMs('1m', '36500d') }).optional(),
  encryption: oneOf('AES256', 'aws:kms').optional(),
  kmsKeyId: text('the id or ARN of a key', 2048).optional(),
  caFile: file.optional(),
  partSize: sizeBytes('5MiB', '1GiB').prefault('16MiB'),
});

export const ArchiveFile = closed({
  directory: file.optional(),
  s3: S3File.optional(),
  keepLocal: durationMs('0s', '36500d').prefault('7d'),
});
export type ArchiveFile = z.output<typeof ArchiveFile>;

interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

export function* archiveProblems(archive: ArchiveFile | undefined): Generator<Problem> {
  const at = ['evidence', 'archive'];
  if (archive === undefined) return;
  const { directory, s3 } = archive;
  if ((directory === undefined) === (s3 === undefined))
    yield { path: at, message: 'expected directory or s3, one of them' };
  if (s3 === undefined) return;
  const inS3 = [...at, 's3'];
  const { endpoint, credentials, encryption, kmsKeyId } = s3;
  if (endpoint?.startsWith('http:') === true && !isLoopback(new URL(endpoint).hostname))
    yield { path: [...inS3, 'endpoint'], message: 'expected https: evidence does not travel in plain text' };
  if (kmsKeyId !== undefined && encryption !== 'aws:kms')
    yield { path: [...inS3, 'kmsKeyId'], message: 'only with encryption: aws:kms' };
  const { accessKeyId, secretAccessKey, sessionToken, command } = credentials;
  const keys = { accessKeyId, secretAccessKey, sessionToken };
  if (command === undefined && (accessKeyId === undefined || secretAccessKey === undefined))
    yield { path: [...inS3, 'credentials'], message: 'expected accessKeyId and secretAccessKey, or command' };
  for (const [name, given] of Object.entries(keys)) {
    if (given === undefined) continue;
    if (command !== undefined)
      yield { path: [...inS3, 'credentials', name], message: 'expected keys or command, not both' };
    else if (SecretReference.parse(given, '/') === null)
      yield {
        path: [...inS3, 'credentials', name],
        message: 'a secret does not belong in this file: use env:NAME or file:PATH',
      };
  }
}

export function resolveArchive(archive: ArchiveFile | undefined, base: string): ArchiveConfig | null {
  if (archive === undefined) return null;
  const { directory, s3, keepLocal: keepLocalMs } = archive;
  if (s3 === undefined)
    return { place: { kind: 'directory', directory: path.resolve(base, directory ?? '') }, keepLocalMs };
  return { place: { kind: 's3', s3: resolveS3(s3, base) }, keepLocalMs };
}

function resolveS3(given: z.output<typeof S3File>, base: string): S3StoreOptions {
  const { endpoint, region, bucket, prefix, lock, encryption, kmsKeyId, caFile, partSize } = given;
  return {
    endpoint: endpoint ?? `https://s3.${region}.amazonaws.com`,
    // Services of one's own seldom have a name for each bucket.
    pathStyle: given.pathStyle ?? endpoint !== undefined,
    region,
    bucket,
    prefix: prefix === undefined ? '' : `${prefix.replace(/\/$/, '')}/`,
    credentials: credentialsOf(given, base),
    lock: lock === undefined ? null : { mode: lock.mode, retainMs: lock.retain },
    encryption:
      encryption === undefined
        ? null
        : encryption === 'AES256'
          ? { kind: 'AES256' }
          : { kind: 'aws:kms', keyId: kmsKeyId ?? null },
    partBytes: partSize,
    ca: caFile === undefined ? null : () => readFileSync(path.resolve(base, caFile), 'utf8'),
  };
}

/** Read for each request: rotated keys work without a restart. */
function credentialsOf({ credentials }: z.output<typeof S3File>, base: string): CredentialSource {
  const { accessKeyId, secretAccessKey, sessionToken, command } = credentials;
  if (command !== undefined) return credentialsOfProgram(command);
  const read = (given: string | undefined): string =>
    given === undefined ? '' : reference(given, base).resolve();
  return () =>
    Promise.resolve({
      accessKeyId: read(accessKeyId),
      secretAccessKey: read(secretAccessKey),
      ...(sessionToken !== undefined && { sessionToken: read(sessionToken) }),
    });
}
