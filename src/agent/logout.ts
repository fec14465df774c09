/**
 * Signing out: ports first, so that their sessions end in order; then the relay ends the login, the provider revokes the
 * refresh token (RFC 7009), and the secret is forgotten. The last happens in any case: what could not be reached is told, with
 * the time at which it ends by itself.
 */
import { HoopError } from '../errors.ts';
import { importLoginKey } from '../identity/login-key.ts';
import type { Account } from './account.ts';
import { disconnectBackground } from './background-start.ts';
import { signInEndMs, type Credential } from './credentials.ts';
import type { Directories } from './directories.ts';
import { AgentError } from './error.ts';
import { HttpClient } from './http.ts';
import { RelayProblem } from './problem.ts';
import { RelayClient } from './relay-client.ts';
import { withRenewalLock } from './sign-in.ts';

/** Something that goes on elsewhere although the person has signed out here. */
export interface NotDone {
  readonly what: 'ports' | 'relay' | 'refresh-token';
  /** One line: why. */
  readonly why: string;
  /** When it ends by itself, milliseconds since the epoch; null when that is not known. */
  readonly endsAtMs: number | null;
}

export interface SignedOut {
  readonly profile: string;
  readonly relay: string;
  /** False: nobody was signed in. */
  readonly signedOut: boolean;
  /** Ports of the background agent that were closed. */
  readonly disconnected: readonly { readonly target: string; readonly session: string }[];
  readonly notDone: readonly NotDone[];
}

/** Relay and provider are asked at the same time, and nobody waits longer for either. */
const answerMs = 15_000;

/** @throws KeychainError, ProcessLockError, PrivateFileError */
export async function logout(account: Account, { config, runtime }: Directories): Promise<SignedOut> {
  const { profile, relay, store } = account;
  const notDone: NotDone[] = [];
  const which = { relay: null, profile: profile.name, target: null };
  const disconnected = await disconnectBackground(runtime, which).catch((error: unknown) => {
    notDone.push({ what: 'ports', why: reasonOf(error), endsAtMs: null });
    return [];
  });
  const signedOut = await withRenewalLock(config, profile, async () => {
    const credential = await store.load(profile).catch((error: unknown) => {
      // What cannot be read can still be forgotten.
      if (error instanceof AgentError && error.code === 'credential-damaged') return null;
      throw error;
    });
    if (credential !== null) notDone.push(...(await endElsewhere(account, credential)));
    return (await store.remove(profile)) || credential !== null;
  });
  return {
    profile: profile.name,
    relay,
    signedOut,
    disconnected: disconnected.map(({ target, session }) => ({ target, session })),
    notDone,
  };
}

async function endElsewhere(account: Account, credential: Credential): Promise<NotDone[]> {
  const [atRelay, atProvider] = await Promise.allSettled([
    endLogin(account, credential),
    revoke(account, credential),
  ]);
  const notDone: NotDone[] = [];
  if (atRelay.status === 'rejected')
    notDone.push({
      what: 'relay',
      why: reasonOf(atRelay.reason),
      endsAtMs: credential.accessTokenEndsAtMs,
    });
  if (atProvider.status === 'rejected' || !atProvider.value)
    notDone.push({
      what: 'refresh-token',
      why:
        atProvider.status === 'rejected' ? reasonOf(atProvider.reason) : 'the provider offers no revocation',
      endsAtMs: signInEndMs(credential),
    });
  return notDone;
}

/** With the token as it is: a login whose token has ended was not renewed in time, and is over. */
async function endLogin({ relay, client }: Account, credential: Credential): Promise<void> {
  const caller = { key: await importLoginKey(credential.key), accessToken: credential.accessToken };
  const once = new RelayClient(relay, client.http, { caller: async () => caller });
  try {
    await once.send('POST', '/v1/logout', undefined, { signal: AbortSignal.timeout(answerMs) });
  } catch (error) {
    const over =
      error instanceof RelayProblem && ['access-token-expired', 'login-ended'].includes(error.code);
    if (!over) throw error;
  }
}

/** False where the provider has nothing to revoke it at. */
async function revoke({ caFile }: Account, credential: Credential): Promise<boolean> {
  const { refreshToken, issuer } = credential;
  if (refreshToken === null) return true;
  const { Issuer } = await import('./issuer.ts');
  const http = await HttpClient.open(issuer, caFile);
  try {
    const provider = await Issuer.discover(credential, await importLoginKey(credential.key), http);
    return await provider.revoke(refreshToken, AbortSignal.timeout(answerMs));
  } finally {
    await http.close();
  }
}

const reasonOf = (error: unknown): string => {
  if (error instanceof HoopError) return error.message;
  return error instanceof DOMException && error.name === 'TimeoutError' ? 'no answer in time' : 'it failed';
};
