/** The upstream of the embedded provider: can its secret be read, is it there, and does it offer what a sign-in needs? */
import { z } from 'zod';
import type { OidcUpstreamConfig } from './config/upstream.ts';
import { fetchIssuerJson } from './idp/issuer-fetch.ts';

const Metadata = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  jwks_uri: z.url(),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  scopes_supported: z.array(z.string()).optional(),
});
const Keys = z.object({ keys: z.array(z.looseObject({})).min(1) });

type Found = string | { readonly warnings: readonly string[] };

/** @throws ConfigError `secret-unavailable`, `secret-exposed` */
export function checkUpstream({ issuer, clientSecret }: OidcUpstreamConfig): Found {
  if (clientSecret === null) return `${issuer}, a public client`;
  clientSecret.resolve();
  return `${issuer}, client secret can be read`;
}

/** Asks for its discovery document and keys. @throws Error that says what is wrong with them */
export async function reachUpstream({ issuer, scopes }: OidcUpstreamConfig): Promise<Found> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const metadata = Metadata.safeParse(await fetchIssuerJson(url));
  if (!metadata.success) {
    const key = String(metadata.error.issues[0]?.path[0] ?? 'issuer');
    throw new Error(`${url} says no ${key}, or a malformed one`);
  }
  const { data } = metadata;
  if (data.issuer !== issuer)
    throw new Error(
      `${url} is of the issuer ${JSON.stringify(data.issuer)}: identity.upstream.issuer has to be that`,
    );
  if (!Keys.safeParse(await fetchIssuerJson(data.jwks_uri)).success)
    throw new Error('its jwks_uri has no keys');
  const warnings: string[] = [];
  const methods = data.code_challenge_methods_supported;
  if (methods !== undefined && !methods.includes('S256')) warnings.push('it offers no PKCE by S256');
  const missing = scopes.filter((scope) => data.scopes_supported?.includes(scope) === false);
  if (missing.length > 0) warnings.push(`it does not list these scopes: ${missing.join(', ')}`);
  return warnings.length > 0 ? { warnings } : 'discovery and keys are there';
}
