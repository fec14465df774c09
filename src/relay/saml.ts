/** What an operator asks about SAML without a relay that runs: our metadata, and whether the provider's is good. */
import type { RelayConfig } from './config/config.ts';
import type { SamlUpstreamConfig } from './config/upstream.ts';
import { ProviderError } from './idp/error.ts';
import { providerIssuer } from './idp/provider.ts';
import { readMetadata } from './idp/upstream/saml/metadata-source.ts';
import type { IdpMetadata } from './idp/upstream/saml/metadata.ts';
import {
  serviceProvider,
  serviceProviderMetadata,
  type ServiceProvider,
} from './idp/upstream/saml/service-provider.ts';
import { openSamlKey } from './keys.ts';

/** Null where people do not sign in by SAML. */
export const samlUpstream = ({ identity }: RelayConfig): SamlUpstreamConfig | null =>
  identity.kind === 'embedded' && identity.upstream?.kind === 'saml' ? identity.upstream : null;

/**
 * The relay's metadata, for the identity provider. Makes the relay's key when there is none yet. Works before there is metadata
 * of the provider, which may want ours first: then it says that requests are not signed.
 * @throws ProviderError `upstream-invalid`, KeysError, PrivateFileError
 */
export async function samlMetadata(
  config: RelayConfig,
  upstream: SamlUpstreamConfig,
): Promise<ServiceProvider & { readonly xml: string }> {
  const provider = await readMetadata(upstream.metadata).catch((error: unknown) => {
    if (error instanceof ProviderError && error.code === 'upstream-unreachable') return null;
    throw error;
  });
  const signs = provider?.wantsSignedRequests ?? false;
  const ours = serviceProvider(providerIssuer(config.publicUrl), upstream.entityId);
  return { ...ours, xml: serviceProviderMetadata(ours, await openSamlKey(config), signs) };
}

const noticeMs = 14 * 86_400_000;

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/**
 * What `hoop relay check` says of the provider's metadata. An end of a certificate ends nothing by itself, because the metadata
 * pins the key; it tells when the provider will change it.
 * @returns warnings; none: all is well
 */
export function metadataWarnings({ certificates, validUntilMs }: IdpMetadata, nowMs: number): string[] {
  const ends = certificates
    .map(({ validToDate }) => validToDate.getTime())
    .filter((endMs) => endMs - nowMs < noticeMs)
    .map(
      (endMs) =>
        `a certificate of the identity provider ${endMs < nowMs ? 'ended' : 'ends'} on ${day(endMs)}`,
    );
  if (validUntilMs === null || validUntilMs - nowMs >= noticeMs) return ends;
  const over = validUntilMs < nowMs;
  return [
    ...ends,
    `its metadata ${over ? 'ended' : 'ends'} on ${day(validUntilMs)}${over ? ': nobody can sign in' : ''}`,
  ];
}

/** @throws ProviderError `upstream-unreachable`, `upstream-invalid` */
export async function checkSaml(
  upstream: SamlUpstreamConfig,
): Promise<string | { readonly warnings: readonly string[] }> {
  const metadata = await readMetadata(upstream.metadata);
  const warnings = metadataWarnings(metadata, Date.now());
  if (upstream.attributes.groups === null)
    warnings.push('no attribute for groups (identity.upstream.attributes.groups): nobody has a group');
  if (warnings.length > 0) return { warnings };
  const { certificates, entityId } = metadata;
  return `${entityId}, ${certificates.length} ${certificates.length === 1 ? 'certificate' : 'certificates'}`;
}
