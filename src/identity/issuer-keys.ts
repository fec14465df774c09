/**
 * The signing keys of an OpenID provider: discovery (OpenID Connect Discovery 1.0), its JWKS, rotation.
 *
 * Keys are fetched again when they are older than ten minutes or a token names a key that is not among them, but never
 * more often than every five seconds: a stranger's tokens cannot make the relay flood the issuer. When the issuer is
 * away, keys it once gave stay good for an hour, then sign-in fails.
 */
import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { JSONWebKeySet } from 'jose';
import { z } from 'zod';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';

/** Fetches a JSON document of at most 1 MiB from an issuer; follows no redirect. @throws anything when it cannot */
export type FetchJson = (url: string) => Promise<unknown>;

const Metadata = z.object({ issuer: z.string(), jwks_uri: z.url() });
const KeySet = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })).max(100),
});
const Jwks = z.custom<JSONWebKeySet>((value) => KeySet.safeParse(value).success);

export interface SeenKeys {
  readonly jwks: JSONWebKeySet;
  /** SHA-256 of the canonical JSON of `jwks`, hex. */
  readonly digest: string;
}

export interface IssuerKeysOptions {
  /** Exactly as configured; equals `iss`. */
  readonly issuer: string;
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
  /** Told of each key set before a token is accepted by it; when it throws, the keys are not used. */
  readonly onKeys?: ((seen: SeenKeys) => Promise<void>) | undefined;
}

const freshMs = 600_000;
const staleMs = 3_600_000;
const coolDownMs = 5000;

export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #seen: SeenKeys | null = null;
  #seenAtMs = -Infinity;
  #triedAtMs = -Infinity;
  #running: Promise<SeenKeys> | null = null;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /**
   * @param kid the key that a token names; null when it names none
   * @throws IdentityError `issuer-unreachable`, `issuer-invalid`
   */
  async get(kid: string | null): Promise<SeenKeys> {
    const now = this.#options.clock.monotonicMs();
    const seen = this.#seen;
    const known = seen !== null && (kid === null || seen.jwks.keys.some((key) => key.kid === kid));
    if (seen !== null && known && now - this.#seenAtMs < freshMs) return seen;
    const usable = seen !== null && now - this.#seenAtMs < staleMs ? seen : null;
    if (now - this.#triedAtMs < coolDownMs && this.#running === null) {
      if (usable !== null) return usable;
      throw this.#unreachable();
    }
    try {
      return await this.#refresh();
    } catch (error) {
      if (usable !== null && error instanceof IdentityError && error.code === 'issuer-unreachable')
        return usable;
      throw error;
    }
  }

  #refresh(): Promise<SeenKeys> {
    this.#running ??= this.#load().finally(() => {
      this.#running = null;
      this.#triedAtMs = this.#options.clock.monotonicMs();
    });
    return this.#running;
  }

  async #load(): Promise<SeenKeys> {
    const { issuer, onKeys, clock } = this.#options;
    const base = issuer.endsWith('/') ? issuer.slice(0, -1) : issuer;
    const metadata = Metadata.safeParse(await this.#fetch(`${base}/.well-known/openid-configuration`));
    if (!metadata.success || metadata.data.issuer !== issuer)
      throw new IdentityError(
        'issuer-invalid',
        'The discovery document is not one of the configured issuer.',
        {
          hint: 'the operator sets identity.issuer to the "issuer" of its /.well-known/openid-configuration, letter by letter (Entra ID: with the id of the tenant)',
        },
      );
    const keysUrl = new URL(metadata.data.jwks_uri);
    if (keysUrl.protocol !== 'https:' && !issuer.startsWith('http:'))
      throw new IdentityError('issuer-invalid', 'The issuer offers its keys without TLS.');
    const parsed = Jwks.safeParse(await this.#fetch(keysUrl.href));
    if (!parsed.success) throw new IdentityError('issuer-invalid', 'The keys of the issuer are not a JWKS.');
    const jwks = parsed.data;
    const seen = { jwks, digest: hash('sha256', canonicalize(jwks) ?? '', 'hex') };
    if (seen.digest !== this.#seen?.digest) await onKeys?.(seen);
    this.#seen = seen;
    this.#seenAtMs = clock.monotonicMs();
    return seen;
  }

  async #fetch(url: string): Promise<unknown> {
    try {
      return await this.#options.fetchJson(url);
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  #unreachable(cause?: unknown): IdentityError {
    return new IdentityError('issuer-unreachable', 'The OpenID provider did not answer.', {
      hint: 'try again; if it stays so, the operator finds the reason in the log of the relay',
      cause,
    });
  }
}
