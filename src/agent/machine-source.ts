/**
 * How a program signs in without a person: what the environment says it has. Read anew for each sign-in and each renewal,
 * since platforms rotate tokens in place; kept nowhere, and never told to a program that is started.
 */
import { createPrivateKey } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { importPKCS8 } from 'jose';
import { z } from 'zod';
import { makeClientAssertion } from '../identity/service-account.ts';
import { systemClock } from '../system/clock.ts';
import type { MachineLogin } from '../wire/api.ts';
import { AgentError } from './error.ts';

const file = z.string().min(1).max(4096);
const accountName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

/** As the background agent is told it: the token itself only where it stands in no file. */
export const MachineSource = z.union([
  z.strictObject({ token: z.string().min(1).max(65_536) }),
  z.strictObject({ tokenFile: file }),
  z.strictObject({ account: accountName, keyFile: file }),
  z.strictObject({ account: accountName, secretFile: file }),
]);
export type MachineSource = z.infer<typeof MachineSource>;

/** Variables of the environment that are for hoop alone. */
export const machineVariables = [
  'HOOP_TOKEN',
  'HOOP_TOKEN_FILE',
  'HOOP_SERVICE_ACCOUNT',
  'HOOP_SERVICE_KEY_FILE',
  'HOOP_SERVICE_SECRET_FILE',
] as const;

/** The environment for a program that is not hoop. */
export function withoutMachine(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const secret: ReadonlySet<string> = new Set(machineVariables);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !secret.has(name)));
}

/**
 * Null: a person's sign-in counts.
 * @throws AgentError `machine-settings-invalid` when it says two things, or half of one
 */
export function machineSource(environment: NodeJS.ProcessEnv): MachineSource | null {
  const [token, tokenFile, account, keyFile, secretFile] = machineVariables.map((name) => {
    const value = environment[name] ?? '';
    return value === '' ? null : value;
  });
  const ways = [token, tokenFile, keyFile, secretFile].filter((value) => value != null);
  if (ways.length === 0 && account == null) return null;
  if (ways.length !== 1 || (account != null) !== (keyFile != null || secretFile != null))
    throw invalid('the environment does not say one way to sign in as a program');
  const files = { tokenFile, keyFile, secretFile };
  const absolute = Object.fromEntries(
    Object.entries(files).flatMap(([name, value]) => (value == null ? [] : [[name, path.resolve(value)]])),
  );
  const source = MachineSource.safeParse({
    ...(token != null && { token: token.trim() }),
    ...(account != null && { account }),
    ...absolute,
  });
  if (!source.success)
    throw invalid('HOOP_SERVICE_ACCOUNT is not the name of an account, or a token is too long');
  return source.data;
}

/** What is presented to the relay now. @throws AgentError `machine-file-unusable` */
export async function machineLogin(source: MachineSource, relay: string): Promise<MachineLogin> {
  if ('token' in source) return { assertion: source.token };
  // Platforms mount tokens for everybody in the container to read; keys and secrets are not.
  if ('tokenFile' in source) return { assertion: await readText(source.tokenFile, 'others may read') };
  const { account } = source;
  if ('secretFile' in source)
    return { account, clientSecret: await readText(source.secretFile, 'others must not read') };
  const pem = await readText(source.keyFile, 'others must not read');
  return { assertion: await assertionBy(pem, source.keyFile, account, relay) };
}

async function assertionBy(pem: string, keyFile: string, account: string, relay: string): Promise<string> {
  try {
    // OpenSSL writes SEC1 as well as PKCS #8.
    const pkcs8 = createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString();
    return await makeClientAssertion(await importPKCS8(pkcs8, 'ES256'), account, relay, systemClock);
  } catch {
    // Without the cause: a parser's message may quote what it read.
    throw new AgentError('machine-file-unusable', `${keyFile} is no private key of P-256`, {
      hint: 'make one with: hoop admin service-accounts rotate NAME --key-file FILE',
    });
  }
}

const longestBytes = 65_536;

async function readText(name: string, who: 'others may read' | 'others must not read'): Promise<string> {
  // Without O_NONBLOCK a FIFO in place of the file would hold the command for ever.
  const handle = await open(name, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw unusable(name, 'cannot be read', cause);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > longestBytes) throw unusable(name, 'is no file with a token or key');
    if (who === 'others must not read' && process.getuid !== undefined && (stat.mode & 0o007) !== 0)
      throw new AgentError('machine-file-unusable', `${name} can be read by everybody on this machine`, {
        hint: `chmod 600 ${name}`,
      });
    const text = (await handle.readFile('utf8')).trim();
    if (text === '') throw unusable(name, 'is empty');
    return text;
  } finally {
    await handle.close();
  }
}

function unusable(name: string, why: string, cause?: unknown): AgentError {
  return new AgentError('machine-file-unusable', `${name} ${why}`, {
    hint: 'see HOOP_TOKEN_FILE, HOOP_SERVICE_KEY_FILE and HOOP_SERVICE_SECRET_FILE',
    cause,
  });
}

function invalid(message: string): AgentError {
  return new AgentError('machine-settings-invalid', message, {
    hint: 'set HOOP_TOKEN, or HOOP_TOKEN_FILE, or HOOP_SERVICE_ACCOUNT with HOOP_SERVICE_KEY_FILE or HOOP_SERVICE_SECRET_FILE',
  });
}
