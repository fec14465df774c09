/** Renewing the access token long before it ends, for as long as something is served. */
import { HoopError } from '../errors.ts';
import { RelayProblem } from './problem.ts';
import type { AccountSignIn } from './sign-in.ts';

/** After a failure; the token still has about a third of its life. */
const retryMs = 10_000;
/** `setTimeout` cannot wait longer. */
const longestMs = 2 ** 31 - 1;

/**
 * @param tell told once when the sign-in cannot be renewed any more, and it goes on looking: the person may sign in
 * again in another terminal
 * @returns stops it
 */
export function keepSignedIn(signIn: AccountSignIn, tell: (line: string) => void): () => void {
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;
  let told = false;
  const later = (ms: number) => {
    if (!stopped) timer = setTimeout(() => void renew(), Math.min(ms, longestMs)).unref();
  };
  const schedule = async () => {
    const { accessTokenEndsAtMs, accessTokenLifetimeMs } = await signIn.credential();
    // At two thirds of its life, a little apart from other processes that share the sign-in.
    const share = 0.3 + Math.random() * 0.06;
    later(Math.max(accessTokenEndsAtMs - Date.now() - accessTokenLifetimeMs * share, 0));
  };
  const renew = async () => {
    try {
      await signIn.renew(null);
      told = false;
      await schedule();
    } catch (error) {
      const final = error instanceof HoopError && isFinal(error);
      if (final && !told) tell(`${error.message}; ${error.hint ?? 'sign in again'}`);
      told ||= final;
      later(retryMs);
    }
  };
  schedule().catch(() => later(retryMs));
  return () => {
    stopped = true;
    if (timer !== null) clearTimeout(timer);
  };
}

/** The relay, the provider or this machine says no; it may say otherwise after another sign-in or with another token. */
const isFinal = (error: HoopError): boolean =>
  error instanceof RelayProblem
    ? error.status === 401 || error.status === 403
    : ['login-expired', 'not-signed-in', 'machine-file-unusable'].includes(error.code);
