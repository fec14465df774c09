/** The part `log` of `relay.yaml`: the log's name, what holds its key, and who witnesses it. */
import path from 'node:path';
import { z } from 'zod';
import { EvidenceError } from '../../evidence/error.ts';
import { NoteVerifier } from '../../evidence/log/note.ts';
import { isLoopback } from './loopback.ts';
import { reference, SecretReference } from './secret.ts';
import { closed, file, parsed, text, url } from './shapes.ts';

/** Where the log's signing key is. */
export type LogKeyConfig =
  | { readonly kind: 'file'; readonly file: string }
  | {
      readonly kind: 'pkcs11';
      /** Shared library of the token's maker. */
      readonly module: string;
      /** Label of the token. */
      readonly token: string;
      /** Of the key pair on it (CKA_LABEL). */
      readonly label: string;
      readonly pin: SecretReference;
    }
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly verifier: NoteVerifier };

/** Somebody who cosigns the log's checkpoints. */
export interface WitnessConfig {
  readonly name: string;
  /** Submission prefix of https://c2sp.org/tlog-witness, without a slash at its end. */
  readonly url: string;
  readonly verifier: NoteVerifier;
}

export interface LogConfig {
  readonly origin: string;
  readonly key: LogKeyConfig;
  /** The key to hand over to; null: the next one is made beside the file of the first. */
  readonly nextKey: LogKeyConfig | null;
  readonly witnesses: readonly WitnessConfig[];
  /** How many of the witnesses make a checkpoint a witnessed one. */
  readonly quorum: number;
}

export const originOfLog = parsed(
  (value) => (/^[A-Za-z0-9.:-]+(\/[A-Za-z0-9._~-]+)*$/.test(value) && value.length <= 255 ? value : null),
  "the log's name: host and path without scheme, such as relay.example.com/log",
);

export const vkeyOf = (cosigns: boolean) =>
  parsed(
    (value) => {
      try {
        const verifier = NoteVerifier.parse(value);
        return verifier.cosigns === cosigns ? verifier : null;
      } catch (error) {
        if (error instanceof EvidenceError) return null;
        throw error;
      }
    },
    cosigns
      ? 'the verifier key of a witness, NAME+ID+BASE64 of a cosignature/v1 key'
      : 'the verifier key of a log, NAME+ID+BASE64',
  );

const key = closed({
  file: file.optional(),
  pkcs11: closed({
    module: file,
    token: text('the label of a token', 32),
    label: text('the label of a key', 256),
    pin: text('env:NAME or file:PATH', 4096),
  }).optional(),
  command: z.array(text('a word', 4096)).min(1, 'expected a program and its words').max(64).optional(),
  vkey: vkeyOf(false).optional(),
});
type KeyFile = z.output<typeof key>;

const quorum = z
  .int({ error: 'expected a whole number' })
  .min(1, 'expected at least 1')
  .max(32, 'expected at most 32');

export const LogFile = closed({
  origin: originOfLog.optional(),
  keyFile: file.optional(),
  key: key.optional(),
  nextKey: key.optional(),
  witnesses: z
    .array(
      closed({
        name: text('a name for people and metrics', 64),
        url: url('an https URL', ['https:', 'http:']),
        vkey: vkeyOf(true),
      }),
    )
    .max(32, 'expected at most 32 witnesses')
    .default([]),
  witnessPolicy: closed({ quorum }).optional(),
});
export type LogFile = z.output<typeof LogFile>;

interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

export function* logProblems(log: LogFile): Generator<Problem> {
  if (log.key !== undefined && log.keyFile !== undefined)
    yield { path: ['log', 'keyFile'], message: 'expected key or keyFile, not both' };
  for (const name of ['key', 'nextKey'] as const) {
    const given = log[name];
    if (given !== undefined) yield* keyProblems(given, ['log', name], log.origin);
  }
  for (const [at, witness] of log.witnesses.entries()) {
    const path_ = ['log', 'witnesses', `${at}`];
    const { protocol, hostname } = new URL(witness.url);
    if (protocol === 'http:' && !isLoopback(hostname))
      yield { path: [...path_, 'url'], message: 'expected https: http is for loopback only' };
    const others = log.witnesses.slice(0, at);
    if (others.some(({ name }) => name === witness.name))
      yield { path: [...path_, 'name'], message: 'another witness has this name' };
    if (others.some(({ vkey }) => vkey.samePublicKey(witness.vkey)))
      yield { path: [...path_, 'vkey'], message: 'another witness has this key: it would count twice' };
  }
  if ((log.witnessPolicy?.quorum ?? 0) > log.witnesses.length)
    yield {
      path: ['log', 'witnessPolicy', 'quorum'],
      message: `expected at most ${log.witnesses.length}, the number of log.witnesses`,
    };
}

function* keyProblems(given: KeyFile, at: readonly string[], origin?: string): Generator<Problem> {
  const kinds = [given.file, given.pkcs11, given.command].filter((kind) => kind !== undefined);
  if (kinds.length !== 1) yield { path: at, message: 'expected one of file, pkcs11 and command' };
  if (given.command !== undefined && given.vkey === undefined)
    yield { path: [...at, 'command'], message: 'needs vkey beside it: what it answers is verified' };
  if (given.command === undefined && given.vkey !== undefined)
    yield { path: [...at, 'vkey'], message: 'only for a command' };
  if (given.vkey !== undefined && origin !== undefined && given.vkey.name !== origin)
    yield { path: [...at, 'vkey'], message: `expected the key of ${origin}, which log.origin names` };
  if (given.pkcs11 !== undefined && SecretReference.parse(given.pkcs11.pin, '/') === null)
    yield {
      path: [...at, 'pkcs11', 'pin'],
      message: 'a secret does not belong in this file: use env:NAME or file:PATH',
    };
}

/** @param defaults for what the file leaves out */
export function resolveLog(
  log: LogFile,
  base: string,
  defaults: { readonly origin: string; readonly keyFile: string },
): LogConfig {
  const resolve = (given: KeyFile): LogKeyConfig => {
    const { pkcs11, command, vkey } = given;
    if (pkcs11 !== undefined)
      return {
        kind: 'pkcs11',
        ...pkcs11,
        module: path.resolve(base, pkcs11.module),
        pin: reference(pkcs11.pin, base),
      };
    if (command !== undefined && vkey !== undefined)
      return { kind: 'command', argv: command, verifier: vkey };
    return { kind: 'file', file: path.resolve(base, given.file ?? log.keyFile ?? defaults.keyFile) };
  };
  return {
    origin: log.origin ?? defaults.origin,
    key: resolve(log.key ?? {}),
    nextKey: log.nextKey === undefined ? null : resolve(log.nextKey),
    witnesses: log.witnesses.map(({ name, url: prefix, vkey }) => ({ name, url: prefix, verifier: vkey })),
    quorum: log.witnessPolicy?.quorum ?? log.witnesses.length,
  };
}
