/** Renewing the access token long before it ends, for as long as something is served. */
import { HoopError } from '../errors.ts';
import type { SignIn } from './sign-in.ts';

/** After a failure; the token still has about a third of its life. */
const retryMs = 10_000;
/** `setTimeout` cannot wait longer. */
const longestMs = 2 ** 31 - 1;

/**
 * @param tell told once when the sign-in cannot be renewed any more, and it goes on looking: the person may sign in
 * again in another terminal
 * @returns stops it
 */
export function keepSignedIn(signIn: SignIn, tell: (line: string) => void): () => void {
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
      const final =
        error instanceof HoopError && (error.code === 'login-expired' || error.code === 'not-signed-in');
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
