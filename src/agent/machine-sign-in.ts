/**
 * The sign-in of a program: one of its own for each command, bound to a key that lives in memory alone and cannot be taken out
 * of it. Renewed by presenting again what the source gives by then; nothing is stored.
 */
import { generateKeyPair, exportJWK } from 'jose';
import { PublicJwk, thumbprint, type LoginKey } from '../identity/login-key.ts';
import { LoginAnswer } from '../wire/api.ts';
import type { CurrentSignIn } from './credentials.ts';
import type { HttpClient } from './http.ts';
import { machineLogin, type MachineSource } from './machine-source.ts';
import { RelayProblem } from './problem.ts';
import { RelayClient } from './relay-client.ts';
import type { Caller } from './relay-client.ts';
import { endsWithin, withAnswer } from './sign-in.ts';
import type { AccountSignIn } from './sign-in.ts';

/** Before the access token ends; workload tokens may be about to end themselves. */
const marginMs = 60_000;

export class MachineSignIn implements AccountSignIn {
  readonly #relay: string;
  readonly #http: HttpClient;
  readonly #source: MachineSource;
  #key: Promise<LoginKey> | null = null;
  #current: CurrentSignIn | null = null;
  #renewal: Promise<CurrentSignIn> | null = null;

  constructor(relay: string, http: HttpClient, source: MachineSource) {
    this.#relay = relay;
    this.#http = http;
    this.#source = source;
  }

  /** Signs in, the first time. @throws RelayProblem, AgentError */
  async credential(): Promise<CurrentSignIn> {
    return this.#current ?? this.renew(null);
  }

  key(): Promise<LoginKey> {
    this.#key ??= ephemeralKey();
    return this.#key;
  }

  /** @throws as `credential` */
  async caller(refused: string | null): Promise<Caller> {
    let current = await this.credential();
    const margin = Math.min(marginMs, current.accessTokenLifetimeMs / 3);
    if (current.accessToken === refused || endsWithin(current, margin)) current = await this.renew(refused);
    return { key: await this.key(), accessToken: current.accessToken };
  }

  renew(_refused: string | null): Promise<CurrentSignIn> {
    this.#renewal ??= this.#present().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #present(): Promise<CurrentSignIn> {
    const before = this.#current?.login ?? null;
    const answer = await this.#post(before).catch((error: unknown) => {
      const over = error instanceof RelayProblem && error.code === 'login-ended';
      if (!over || before === null) throw error;
      // Ended, with its sessions; whether the program may sign in again is another question.
      return this.#post(null);
    });
    const { issuer } = answer.principal;
    this.#current = withAnswer({ issuer, refreshToken: null, renewableUntilMs: null }, answer);
    return this.#current;
  }

  async #post(renews: string | null): Promise<LoginAnswer> {
    const key = await this.key();
    const caller = async () => ({ key, accessToken: null });
    const client = new RelayClient(this.#relay, this.#http, { caller });
    const login = await machineLogin(this.#source, this.#relay);
    return client.post('/v1/login', { ...login, ...(renews !== null && { renews }) }, LoginAnswer);
  }
}

async function ephemeralKey(): Promise<LoginKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: false });
  const { kty, crv, x, y } = await exportJWK(publicKey);
  const publicJwk = PublicJwk.parse({ kty, crv, x, y });
  return { privateKey, publicKey, publicJwk, jkt: await thumbprint(publicJwk) };
}
