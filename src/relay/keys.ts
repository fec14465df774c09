/**
 * The relay's own keys, made at the first start and kept in files that only its user can read. A key is never replaced:
 * what is there is used, or the start is refused. `keys.directory` is shared by the relays of one installation; the log's
 * signing key belongs to one log.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import ssh2 from 'ssh2';
import { z } from 'zod';
import { hasErrno } from '../errors.ts';
import { generateTokenKey } from '../identity/access-token.ts';
import type { TokenKeyJwk } from '../identity/access-token.ts';
import { durableFiles } from '../system/durable-file.ts';
import { ensurePrivateDirectory, readPrivateFile } from '../system/private-file.ts';
import type { RelayConfig } from './config/config.ts';
import { generateProviderKeys, parseProviderKeys } from './idp/keys.ts';
import type { ProviderKeys } from './idp/keys.ts';
import {
  generateServiceProviderKey,
  parseServiceProviderKey,
  type ServiceProviderKey,
} from './idp/upstream/saml/service-provider.ts';

import { KeysError } from './keys-error.ts';
import { openLogKeys } from './log-keys.ts';

const { utils } = ssh2;

/** All secrets that the relay made for itself, but the log's key (log-keys.ts). Held in memory while it runs; never logged. */
export interface RelayKeys {
  /** Signs access tokens. */
  readonly token: TokenKeyJwk;
  readonly provider: ProviderKeys;
  /** 32 bytes, for the API's DPoP nonces. */
  readonly nonceSecret: Buffer;
  /** 32 bytes, for the hashes that masking puts in place of values. */
  readonly maskingKey: Buffer;
  /** Of the relay's end of SSH, Ed25519 in OpenSSH's format. */
  readonly sshHostKey: string;
  /** Of the relay as a SAML service provider; null where nobody signs in by SAML. */
  readonly saml: ServiceProviderKey | null;
}

type KeysConfig = Pick<RelayConfig, 'keys' | 'log' | 'evidence' | 'identity'>;

const TokenKey = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().length(43),
  d: z.string().length(43),
});
const secret = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/**
 * Reads the keys; those that were never made are made.
 * @throws KeysError, PrivateFileError `private-path-unsafe`, EvidenceError `log-key-exposed`, `note-malformed`,
 * ProviderError `provider-keys-invalid`
 */
export async function openKeys(config: KeysConfig): Promise<RelayKeys> {
  const { directory } = config.keys;
  await ensurePrivateDirectory(directory);
  const [token, provider, nonce, masking, sshHostKey] = [
    await readOrCreate(path.join(directory, 'token.json'), async () =>
      JSON.stringify(await generateTokenKey()),
    ),
    await readOrCreate(path.join(directory, 'provider.json'), async () =>
      JSON.stringify(await generateProviderKeys()),
    ),
    await readOrCreate(path.join(directory, 'nonce.key'), () => randomBytes(32).toString('base64url')),
    await readOrCreate(path.join(directory, 'masking.key'), () => randomBytes(32).toString('base64url')),
    await readOrCreate(path.join(directory, sshHostKeyName), () => generateHostKey()),
  ];
  return {
    token: validate(TokenKey, jsonOf(token), path.join(directory, 'token.json')),
    provider: parseProviderKeys(provider),
    sshHostKey: validHostKey(sshHostKey, path.join(directory, sshHostKeyName)),
    saml: usesSaml(config) ? await openSamlKey(config) : null,
    nonceSecret: Buffer.from(validate(secret, nonce, path.join(directory, 'nonce.key')), 'base64url'),
    maskingKey: Buffer.from(validate(secret, masking, path.join(directory, 'masking.key')), 'base64url'),
  };
}

/**
 * Looks at the keys that are there, as `openKeys` would, and makes none.
 * @returns names of those that the first start will make
 * @throws as `openKeys`
 */
export async function checkKeys(config: KeysConfig): Promise<string[]> {
  const { directory } = config.keys;
  const files = [
    ...['token.json', 'provider.json', 'nonce.key', 'masking.key', sshHostKeyName].map((name) =>
      path.join(directory, name),
    ),
    ...(usesSaml(config) ? [path.join(directory, samlKeyName)] : []),
    ...[config.log.key, config.log.nextKey].flatMap((key) => (key?.kind === 'file' ? [key.file] : [])),
  ];
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length === 0) {
    await openKeys(config);
    await tryLogKeys(config);
  } else {
    if (existsSync(directory)) await ensurePrivateDirectory(directory);
    for (const file of files) if (!missing.includes(file)) await readPrivateFile(file);
  }
  return missing;
}

/** What holds the log's keys signs, a text that is no checkpoint of any log. */
async function tryLogKeys(config: KeysConfig): Promise<void> {
  const keys = await openLogKeys(config);
  try {
    for (const signer of [keys.signer, ...keys.successors]) await signer.sign('hoop relay check\n');
  } finally {
    await keys.close();
  }
}

/** The file's text, made by `create` when there is none; two relays that start at once agree on one. */
async function readOrCreate(file: string, create: () => string | Promise<string>): Promise<string> {
  const there = await readPrivateFile(file);
  if (there !== null) return there.toString('utf8').trim();
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${await create()}\n`);
    await handle.sync();
    // Unlike rename, link never replaces.
    await link(temporary, file).catch((error: unknown) => {
      if (!hasErrno(error, 'EEXIST')) throw error;
    });
  } finally {
    await handle.close();
    await unlink(temporary);
  }
  await durableFiles.syncDirectory(path.dirname(file));
  const made = await readPrivateFile(file);
  if (made === null) throw new KeysError('keys-invalid', `${file} has gone while it was being made`);
  return made.toString('utf8').trim();
}

const samlKeyName = 'saml.pem';

const usesSaml = ({ identity }: Pick<RelayConfig, 'identity'>): boolean =>
  identity.kind === 'embedded' && identity.upstream?.kind === 'saml';

/**
 * The relay's key as a SAML service provider, made when it was never made: its metadata has to name it before the first start.
 * @throws KeysError `keys-invalid`, PrivateFileError `private-path-unsafe`
 */
export async function openSamlKey({ keys }: Pick<RelayConfig, 'keys'>): Promise<ServiceProviderKey> {
  await ensurePrivateDirectory(keys.directory);
  const file = path.join(keys.directory, samlKeyName);
  const key = parseServiceProviderKey(await readOrCreate(file, generateServiceProviderKey));
  if (key !== null) return key;
  throw new KeysError('keys-invalid', `${file} is not a key and certificate that this relay wrote`, {
    hint: 'restore it from its backup; without it, removing it makes a new one, which the identity provider has to be told (hoop relay saml-metadata)',
  });
}

/** PEM in a file of its own, as ssh-keygen reads it. */
const sshHostKeyName = 'ssh_host_ed25519_key';

/** ssh2 loses a zero at the front of a number, so that one in 256 of its keys cannot be read: such a one is not kept. */
export function generateHostKey(): string {
  for (;;) {
    const pem = utils.generateKeyPairSync('ed25519', { comment: 'hoop' }).private;
    if (isHostKey(pem)) return pem;
  }
}

function isHostKey(pem: string): boolean {
  const key = utils.parseKey(`${pem}\n`);
  return !(key instanceof Error) && key.type === 'ssh-ed25519' && key.isPrivateKey();
}

function validHostKey(pem: string, file: string): string {
  if (isHostKey(pem)) return `${pem}\n`;
  throw new KeysError('keys-invalid', `${file} is not an Ed25519 host key without a passphrase`, {
    hint: 'restore it from its backup; without it, removing it makes a new one, which SSH clients will refuse until they connect anew through hoop',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function validate<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new KeysError('keys-invalid', `${file} is not a key that this relay wrote`, {
    hint: 'restore it from its backup; without it, removing it makes a new one and everybody signs in again',
  });
}
