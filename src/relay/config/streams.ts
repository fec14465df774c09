/** `evidence.streams` of `relay.yaml`: where the relay sends its history as it happens. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { lineFormats, type LineFormat } from '../../evidence/export/formats.ts';
import {
  destinationForms,
  parseDestination,
  usualFormat,
  type DestinationAddress,
} from '../streams/address.ts';
import type { DestinationOptions } from '../streams/destination.ts';
import { readSecretFile } from './secret-file.ts';
import { reference, SecretReference } from './secret.ts';
import { closed, file, oneOf, parsed, text } from './shapes.ts';

export interface StreamConfig {
  readonly name: string;
  readonly to: DestinationAddress;
  readonly format: LineFormat;
  readonly secrets: DestinationOptions;
}

export const StreamFile = closed({
  name: parsed((value) => (/^[a-z0-9][a-z0-9-]{0,62}$/.test(value) ? value : null), 'a name such as siem'),
  to: parsed((value) => (parseDestination(value, '/') === null ? null : value), destinationForms),
  format: oneOf(...lineFormats).optional(),
  token: text('env:NAME or file:PATH', 4096).optional(),
  caFile: file.optional(),
  certFile: file.optional(),
  keyFile: file.optional(),
});
export type StreamFile = z.output<typeof StreamFile>;

interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

export function* streamProblems(streams: readonly StreamFile[]): Generator<Problem> {
  for (const [at, stream] of streams.entries()) {
    const path_ = ['evidence', 'streams', `${at}`];
    const { kind } = parseDestination(stream.to, '/')!;
    if (streams.slice(0, at).some(({ name }) => name === stream.name))
      yield { path: [...path_, 'name'], message: 'another stream has this name' };
    if (kind === 'syslog' && (stream.format === 'jsonl' || stream.format === 'ocsf'))
      yield { path: [...path_, 'format'], message: 'expected syslog or cef for syslog+tls' };
    if (stream.token !== undefined && kind !== 'https')
      yield { path: [...path_, 'token'], message: 'only for https' };
    if (stream.token !== undefined && SecretReference.parse(stream.token, '/') === null)
      yield {
        path: [...path_, 'token'],
        message: 'a secret does not belong in this file: use env:NAME or file:PATH',
      };
    if ((stream.certFile === undefined) !== (stream.keyFile === undefined))
      yield { path: [...path_, 'keyFile'], message: 'expected certFile and keyFile, or neither' };
    for (const name of ['caFile', 'certFile'] as const)
      if (stream[name] !== undefined && kind === 'file')
        yield { path: [...path_, name], message: 'only for https and syslog+tls' };
  }
}

export function resolveStream(stream: StreamFile, base: string): StreamConfig {
  const to = parseDestination(stream.to, base)!;
  return {
    name: stream.name,
    to,
    format: stream.format ?? usualFormat(to),
    secrets: secretsOf(stream, base),
  };
}

/** Read when a connection is made. */
export function secretsOf(
  { token, caFile, certFile, keyFile }: Pick<StreamFile, 'token' | 'caFile' | 'certFile' | 'keyFile'>,
  base: string,
): DestinationOptions {
  const given = (name: string): string => path.resolve(base, name);
  return {
    token: token === undefined ? null : () => reference(token, base).resolve(),
    ca: caFile === undefined ? null : () => readFileSync(given(caFile), 'utf8'),
    client:
      certFile === undefined || keyFile === undefined
        ? null
        : () => ({
            cert: readFileSync(given(certFile), 'utf8'),
            key: readSecretFile(given(keyFile), 65_536).toString('utf8'),
          }),
  };
}
