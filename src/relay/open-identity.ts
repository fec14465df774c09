/** Who people and programs are: the embedded provider with its upstream, or another's; service accounts and agents. */
import { relayActor } from '../evidence/entry.ts';
import type { SeenKeys } from '../identity/issuer-keys.ts';
import { systemClock } from '../system/clock.ts';
import { createIdentity } from './api/identity.ts';
import type { RelayConfig } from './config/config.ts';
import type { RelayEvidence } from './evidence.ts';
import { fetchIssuerJson } from './idp/issuer-fetch.ts';
import { createProvider, providerClientId, providerGroupsClaim, providerIssuer } from './idp/provider.ts';
import { openUpstream } from './idp/upstream/open.ts';
import { tellIssuerKeys } from './issuer-keys.ts';
import type { RelayKeys } from './keys.ts';
import type { RelayLogger } from './logging.ts';
import { openMachines } from './machines/open.ts';
import type { PoliciesInForce } from './policies-in-force.ts';
import type { State } from './state/state.ts';

export interface IdentityParts {
  readonly config: RelayConfig;
  readonly keys: RelayKeys;
  readonly state: State;
  readonly evidence: Pick<RelayEvidence, 'append'>;
  readonly logger: RelayLogger;
  readonly policies: PoliciesInForce;
}

export async function openIdentity({ config, keys, state, evidence, logger, policies }: IdentityParts) {
  const onError = (error: Error): void => logger.error('provider failed', {}, error);
  const record = { evidence: config.evidence.directory, append: evidence.append };
  const onIssuerKeys = (seenAt: string, seen: SeenKeys): Promise<void> =>
    tellIssuerKeys(record, seenAt, seen);
  const upstream =
    config.identity.kind === 'embedded' && config.identity.upstream !== null
      ? await openUpstream(config.identity.upstream, providerIssuer(config.publicUrl), {
          clock: systemClock,
          replay: state.replay,
          onKeys: onIssuerKeys,
          onError,
          samlKey: keys.saml,
        })
      : null;
  const provider =
    config.identity.kind === 'embedded'
      ? createProvider({
          relay: config.publicUrl,
          state,
          keys: keys.provider,
          upstream,
          onEnded: async (login) => {
            await evidence.append({ kind: 'login.ended', actor: relayActor, login, reason: 'revoked' });
          },
          onError,
          signInLifetimeSeconds: config.tokens.signInLifetimeMs / 1000,
        })
      : null;
  const issuer =
    config.identity.kind === 'oidc'
      ? { ...config.identity, url: config.identity.issuer, fetchJson: fetchIssuerJson }
      : {
          url: `${config.publicUrl}/idp`,
          clientId: providerClientId,
          groupsClaim: providerGroupsClaim,
          fetchJson: (url: string) => provider!.fetchJson(url),
        };
  const identity = await createIdentity({
    relay: config.publicUrl,
    state,
    clock: systemClock,
    issuer,
    onIssuerKeys: (seen) => onIssuerKeys(issuer.url, seen),
    tokenKey: keys.token,
    nonceSecret: keys.nonceSecret,
    tokenLifetimeSeconds: config.tokens.lifetimeMs / 1000,
  });
  const machines = openMachines({
    config,
    state,
    clock: systemClock,
    policies: () => policies.current,
    onIssuerKeys,
  });
  return { provider, identity, machines };
}
