/**
 * A sign-in at one relay and its silent renewal: refresh token → ID token → the relay's next access token.
 *
 * Refresh tokens rotate, and a provider that sees an old one again takes it for stolen and ends the whole grant. So
 * one process at a time renews, under a lock, and first reads what another may have brought meanwhile; and the new
 * refresh token is kept before anything else can fail.
 */
import { hash } from 'node:crypto';
import path from 'node:path';
import type { LoginKey } from '../identity/login-key.ts';
import { importLoginKey } from '../identity/login-key.ts';
import { withProcessLock } from '../system/process-lock.ts';
import { LoginAnswer } from '../wire/api.ts';
import { endOfRenewal } from './credentials.ts';
import type { Credential, CredentialStore, CurrentSignIn } from './credentials.ts';
import { AgentError } from './error.ts';
import { HttpClient } from './http.ts';
import type { IssuerClient, IssuerTokens } from './issuer.ts';
import { RelayProblem } from './problem.ts';
import { loginCommand, type Profile } from './profiles.ts';
import { RelayClient } from './relay-client.ts';
import type { Caller, CallerSource } from './relay-client.ts';

/** Who calls a relay, a person or a program, for as long as it lasts. */
export interface AccountSignIn extends CallerSource {
  credential(): Promise<CurrentSignIn>;
  /** For requests that are signed. */
  key(): Promise<LoginKey>;
  /** @param refused a token that must not come back, even if it has not ended */
  renew(refused: string | null): Promise<CurrentSignIn>;
}

export interface SignInOptions {
  readonly profile: Profile;
  readonly store: CredentialStore;
  /** `Directories.config`: where the lock lies, the same for every process that shares the store. */
  readonly directory: string;
  readonly http: HttpClient;
  readonly caFile: string | null;
}

const lockTimeoutMs = 60_000;
const marginMs = 60_000;

export class SignIn implements AccountSignIn {
  readonly #options: SignInOptions;
  #credential: Credential | null = null;
  #key: LoginKey | null = null;
  #renewal: Promise<Credential> | null = null;

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /** @throws AgentError `not-signed-in`; KeychainError */
  async credential(): Promise<Credential> {
    this.#credential ??= await this.#load();
    return this.#credential;
  }

  /** The key of the sign-in, for requests that the person signs. @throws as `credential` */
  async key(): Promise<LoginKey> {
    const { key } = await this.credential();
    this.#key ??= await importLoginKey(key);
    return this.#key;
  }

  /** @throws as `credential`; AgentError `login-expired`; IdentityError `issuer-unreachable` */
  async caller(refused: string | null): Promise<Caller> {
    let credential = await this.credential();
    const margin = Math.min(marginMs, credential.accessTokenLifetimeMs / 3);
    if (credential.accessToken === refused || endsWithin(credential, margin))
      credential = await this.renew(refused);
    return { key: await this.key(), accessToken: credential.accessToken };
  }

  /**
   * Renews now; calls at the same time share one renewal.
   * @param refused a token that must not come back, even if it has not ended
   */
  renew(refused: string | null): Promise<Credential> {
    this.#renewal ??= this.#renewLocked(refused).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  /**
   * Takes over what a fresh authentication of the same person brought; the sign-in keeps its id, its key and its sessions.
   * @throws RelayProblem `login-ended` when it was somebody else
   */
  authenticatedAgain(at: IssuerClient, tokens: IssuerTokens): Promise<Credential> {
    const { profile, store, http } = this.#options;
    return this.#exclusively(async () => {
      const stored = this.#use(await this.#load());
      const key = await this.key();
      const client = new RelayClient(profile.relay, http, {
        caller: async () => ({ key, accessToken: null }),
      });
      const body = { idToken: tokens.idToken, renews: stored.login };
      const answer = await client.post('/v1/login', body, LoginAnswer);
      const refreshToken = tokens.refreshToken ?? stored.refreshToken;
      const renewableUntilMs = endOfRenewal(tokens.renewableSeconds);
      const fresh = withAnswer({ ...stored, ...at, refreshToken, renewableUntilMs }, answer);
      await store.save(profile, fresh);
      return this.#use(fresh);
    });
  }

  async #load(): Promise<Credential> {
    const { profile, store } = this.#options;
    const credential = await store.load(profile);
    if (credential === null)
      throw new AgentError('not-signed-in', `you are not signed in at ${profile.relay}`, {
        hint: loginCommand(profile),
      });
    return credential;
  }

  #use(credential: Credential): Credential {
    if (credential.login !== this.#credential?.login) this.#key = null;
    this.#credential = credential;
    return credential;
  }

  #renewLocked(refused: string | null): Promise<Credential> {
    return this.#exclusively(async () => {
      const before = this.#credential?.accessToken;
      const stored = this.#use(await this.#load());
      const fresh = stored.accessToken !== before && stored.accessToken !== refused;
      return fresh && !endsWithin(stored, 0) ? stored : this.#use(await this.#rotate(stored));
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    return withRenewalLock(this.#options.directory, this.#options.profile, work);
  }

  async #rotate(credential: Credential): Promise<Credential> {
    const { profile, store, http } = this.#options;
    if (credential.refreshToken === null) throw expired(profile);
    const key = await this.key();
    const { Issuer } = await import('./issuer.ts');
    const issuerHttp = await HttpClient.open(credential.issuer, this.#options.caFile);
    const tokens = await Issuer.discover(credential, key, issuerHttp)
      .then((issuer) => issuer.refresh(credential.refreshToken ?? ''))
      .finally(() => issuerHttp.close());
    const { refreshToken, renewableSeconds } = tokens;
    // A provider that does not say it again has not changed it.
    const renewableUntilMs = endOfRenewal(renewableSeconds) ?? credential.renewableUntilMs;
    const rotated = { ...credential, refreshToken, renewableUntilMs };
    await store.save(profile, rotated);
    const client = new RelayClient(profile.relay, http, { caller: async () => ({ key, accessToken: null }) });
    try {
      const body = { idToken: tokens.idToken, renews: credential.login };
      const renewed = withAnswer(rotated, await client.post('/v1/login', body, LoginAnswer));
      await store.save(profile, renewed);
      return renewed;
    } catch (error) {
      if (error instanceof RelayProblem && error.status < 500) throw expired(profile, error);
      throw error;
    }
  }
}

/**
 * Runs while no process renews; none that waits for this can bring back what was removed meanwhile.
 * @param directory `Directories.config`
 * @throws ProcessLockError; what `work` throws
 */
export function withRenewalLock<T>(directory: string, profile: Profile, work: () => Promise<T>): Promise<T> {
  const name = `renewal-${hash('sha256', profile.name).slice(0, 16)}.lock`;
  return withProcessLock(path.join(directory, name), lockTimeoutMs, work);
}

type Answered = Pick<
  Credential,
  'login' | 'accessToken' | 'accessTokenEndsAtMs' | 'accessTokenLifetimeMs' | 'principal'
>;

/** The credential with what `POST /v1/login` answered. */
export function withAnswer<Kept extends object>(
  credential: Kept,
  answer: LoginAnswer,
): Omit<Kept, keyof Answered> & Answered {
  const lifetimeMs = answer.expiresInSeconds * 1000;
  return {
    ...credential,
    login: answer.login,
    accessToken: answer.accessToken,
    accessTokenEndsAtMs: Date.now() + lifetimeMs,
    accessTokenLifetimeMs: lifetimeMs,
    principal: answer.principal,
  };
}

export function endsWithin(credential: Pick<Credential, 'accessTokenEndsAtMs'>, marginMs: number): boolean {
  return credential.accessTokenEndsAtMs - marginMs <= Date.now();
}

function expired(profile: Profile, cause?: unknown): AgentError {
  return new AgentError('login-expired', `your sign-in at ${profile.relay} has ended`, {
    hint: `sign in again: ${loginCommand(profile)}`,
    cause,
  });
}
