/** The upstream that the configuration names. */
import type { SeenKeys } from '../../../identity/issuer-keys.ts';
import type { ReplayCache } from '../../../identity/replay.ts';
import type { Clock } from '../../../system/clock.ts';
import type { UpstreamConfig } from '../../config/upstream.ts';
import { OidcUpstream } from './oidc.ts';
import type { Upstream } from './upstream.ts';

export interface UpstreamParts {
  readonly clock: Clock;
  readonly replay: ReplayCache;
  /** Told of each key set of an issuer before something is accepted by it, for the log. */
  readonly onKeys: (issuer: string, seen: SeenKeys) => Promise<void>;
}

export function openUpstream(config: UpstreamConfig, { clock, replay, onKeys }: UpstreamParts): Upstream {
  const { clientSecret } = config;
  return new OidcUpstream({
    ...config,
    clientSecret: clientSecret === null ? null : () => clientSecret.resolve(),
    clock,
    replay,
    onKeys: (seen) => onKeys(config.issuer, seen),
  });
}
