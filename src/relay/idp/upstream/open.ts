/** The upstream that the configuration names. */
import type { SeenKeys } from '../../../identity/issuer-keys.ts';
import type { ReplayCache } from '../../../identity/replay.ts';
import type { Clock } from '../../../system/clock.ts';
import type { UpstreamConfig } from '../../config/upstream.ts';
import { OidcUpstream } from './oidc.ts';
import { serviceProvider, type ServiceProviderKey } from './saml/service-provider.ts';
import type { Upstream } from './upstream.ts';

export interface UpstreamParts {
  readonly clock: Clock;
  readonly replay: ReplayCache;
  /** Told of each key set of an issuer before something is accepted by it, for the log. */
  readonly onKeys: (issuer: string, seen: SeenKeys) => Promise<void>;
  /** For the operator's log: what went wrong, and stopped nobody. */
  readonly onError: (error: Error) => void;
  /** Null unless the upstream is one of SAML. */
  readonly samlKey: ServiceProviderKey | null;
}

/** @param issuer of the embedded provider */
export async function openUpstream(
  config: UpstreamConfig,
  issuer: string,
  { clock, replay, onKeys, onError, samlKey }: UpstreamParts,
): Promise<Upstream> {
  if (config.kind === 'saml') {
    if (samlKey === null) throw new TypeError('SAML without a key');
    // Its packages are many, and most relays need none of them.
    const { SamlUpstream } = await import('./saml/saml-upstream.ts');
    const { metadata, attributes, clockSkewMs, entityId } = config;
    const upstream = new SamlUpstream({
      serviceProvider: serviceProvider(issuer, entityId),
      key: samlKey,
      metadata,
      attributes,
      clockSkewMs,
      clock,
      replay,
      onKeys: (seen) => onKeys(seen.entityId, seen),
      onError,
    });
    await upstream.prepare();
    return upstream;
  }
  const { clientSecret } = config;
  return new OidcUpstream({
    ...config,
    clientSecret: clientSecret === null ? null : () => clientSecret.resolve(),
    clock,
    replay,
    onKeys: (seen) => onKeys(config.issuer, seen),
  });
}
