/** What a service account signs in by, as flags say it; and accounts as people and programs read them. */
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import * as Flags from '@oclif/core/flags';
import type { ServiceAccount } from '../identity/service-account.ts';
import { parseDurationMs } from '../relay/config/units.ts';
import { newSecret, publicKeyOf } from '../relay/machines/service-accounts.ts';
import type { NewCredential } from '../relay/state/service-accounts.ts';
import { OperatorError } from './operator-error.ts';
import { DurationError } from './time.ts';

export const credentialFlags = {
  'key-file': Flags.string({
    description: 'make a key and write its private half to this new file, for you alone',
    helpValue: 'FILE',
    exclusive: ['public-key', 'secret'],
  }),
  'public-key': Flags.string({
    description: 'public key of P-256 that is there already, PEM or JWK',
    helpValue: 'FILE',
    exclusive: ['key-file', 'secret'],
  }),
  secret: Flags.boolean({
    description: 'make a secret and show it this once; a key is safer',
    default: false,
    exclusive: ['key-file', 'public-key'],
  }),
};

export interface CredentialFlags {
  readonly 'key-file': string | undefined;
  readonly 'public-key': string | undefined;
  readonly secret: boolean;
}

export interface MadeCredential {
  readonly credential: NewCredential;
  /** Shown once. */
  readonly secret: string | null;
  readonly keyFile: string | null;
}

/**
 * Null when the flags name none.
 * @throws OperatorError `key-file-unusable`, ProviderError `account-invalid`
 */
export async function credentialOf(flags: CredentialFlags): Promise<MadeCredential | null> {
  const { secret, 'key-file': keyFile, 'public-key': publicKey } = flags;
  if (secret) return { ...newSecret(), keyFile: null };
  if (publicKey !== undefined) {
    const text = await readFile(publicKey, 'utf8').catch((cause: unknown) => {
      throw new OperatorError('key-file-unusable', `${publicKey} cannot be read`, { cause });
    });
    return { credential: publicKeyOf(text), secret: null, keyFile: null };
  }
  if (keyFile === undefined) return null;
  const { publicKey: made, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeNewKey(keyFile, privateKey);
  return { credential: publicKeyOf(made), secret: null, keyFile };
}

/** Never over one that is there. */
async function writeNewKey(file: string, pem: string): Promise<void> {
  await writeFile(file, pem, { mode: 0o600, flag: 'wx' }).catch((cause: unknown) => {
    throw new OperatorError('key-file-unusable', `${file} cannot be made`, {
      hint: 'it must not be there yet, and its directory must be yours to write',
      cause,
    });
  });
}

/** A duration of any length. @throws DurationError */
export function spanMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== null) return ms;
  throw new DurationError('duration-invalid', `"${text}" is not a duration`, {
    hint: 'for example 8h or 90d',
  });
}

export const kindOfCredential = ({ credentials }: ServiceAccount): string => credentials[0]?.kind ?? 'none';

/** Without what it signs in by. */
export const accountDocument = (account: ServiceAccount) => ({
  id: account.id,
  name: account.name,
  kind: account.kind,
  groups: account.groups,
  disabled: account.disabled,
  expiresAt: instantOf(account.expiresAtMs),
  createdAt: instantOf(account.createdAtMs),
  credentials: account.credentials.map(({ kind, createdAtMs, validUntilMs }) => ({
    kind,
    createdAt: instantOf(createdAtMs),
    validUntil: instantOf(validUntilMs),
  })),
});

export const instantOf = (ms: number | null): string | null =>
  ms === null ? null : new Date(ms).toISOString();

/** What is to be done with what was made. */
export function* credentialLines({ secret, keyFile }: MadeCredential): Generator<string> {
  if (secret !== null) yield `  Secret, shown this once: ${secret}`;
  if (keyFile !== null) yield `  Private key: ${keyFile}`;
}
