/** The parts of identity, put together for one relay process. */
import { AccessTokens, type TokenKeyJwk } from '../../identity/access-token.ts';
import { Authenticator } from '../../identity/authenticator.ts';
import type { GroupsMap } from '../../identity/groups.ts';
import { IdTokens } from '../../identity/id-token.ts';
import { IssuerKeys, type FetchJson, type SeenKeys } from '../../identity/issuer-keys.ts';
import { Nonces } from '../../identity/nonce.ts';
import type { Clock } from '../../system/clock.ts';
import type { State } from '../state/state.ts';

export interface RelayIdentityOptions {
  /** Base URL that clients make proofs for, without trailing slash. */
  readonly relay: string;
  readonly state: State;
  readonly clock: Clock;
  /** Secrets, shared by all processes of one relay. */
  readonly tokenKey: TokenKeyJwk;
  readonly nonceSecret: Uint8Array;
  readonly tokenLifetimeSeconds?: number;
  readonly issuer: {
    readonly url: string;
    readonly clientId: string;
    readonly groupsClaim: string;
    readonly groupsMap?: GroupsMap;
    /** Default a minute. */
    readonly clockSkewSeconds?: number;
    /** `fetchIssuerJson`, or the embedded provider's own. */
    readonly fetchJson: FetchJson;
  };
  /** Told of each key set of the issuer before a token is accepted by it, for the log. */
  readonly onIssuerKeys?: (seen: SeenKeys) => Promise<void>;
}

export interface RelayIdentity {
  readonly authenticator: Authenticator;
  readonly tokens: AccessTokens;
  readonly idTokens: IdTokens;
  readonly nonces: Nonces;
}

/** @throws IdentityError `key-invalid` */
export async function createIdentity(options: RelayIdentityOptions): Promise<RelayIdentity> {
  const { relay, state, clock, issuer } = options;
  const lifetimeSeconds = options.tokenLifetimeSeconds;
  const tokens = await AccessTokens.create({
    relay,
    clock,
    key: options.tokenKey,
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
  });
  const nonces = new Nonces(options.nonceSecret, clock);
  const keys = new IssuerKeys({
    issuer: issuer.url,
    fetchJson: issuer.fetchJson,
    clock,
    onKeys: options.onIssuerKeys,
  });
  return {
    tokens,
    nonces,
    idTokens: new IdTokens({
      issuer: issuer.url,
      clientId: issuer.clientId,
      groupsClaim: issuer.groupsClaim,
      groupsMap: issuer.groupsMap ?? new Map(),
      clockSkewSeconds: issuer.clockSkewSeconds ?? 60,
      keys,
      clock,
    }),
    authenticator: new Authenticator({
      relay,
      tokens,
      nonces,
      clock,
      logins: state.logins,
      replay: state.replay,
    }),
  };
}
