/** `identity.upstream`: where the embedded provider lets people sign in, when it has no people of its own. */
import { z } from 'zod';
import { isLoopback } from './loopback.ts';
import type { RuleProblem } from './rules.ts';
import { reference, SecretReference } from './secret.ts';
import { closed, parsed, text } from './shapes.ts';

/** Unlike other URLs with its last slash, if it has one: it is compared letter by letter. */
const issuer = parsed((value) => {
  const url = URL.parse(value);
  if (url === null || !['https:', 'http:'].includes(url.protocol)) return null;
  return `${url.username}${url.password}${url.search}${url.hash}` === '' ? value : null;
}, 'the https URL of an OpenID provider');

const oidc = closed({
  kind: z.literal('oidc'),
  issuer,
  clientId: text('the client id that the provider gave'),
  clientSecret: text('env:NAME or file:PATH', 4096).optional(),
  scopes: z.array(text('a scope', 256)).min(1, 'expected at least one scope').optional(),
  groupsClaim: text('the name of a claim', 256).optional(),
});

export const upstreamSchema = z.discriminatedUnion('kind', [oidc], { error: 'expected kind: oidc' });
export type UpstreamFile = z.output<typeof upstreamSchema>;

export interface OidcUpstreamConfig {
  readonly kind: 'oidc';
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client, by PKCE alone. */
  readonly clientSecret: SecretReference | null;
  readonly scopes: readonly string[];
  readonly groupsClaim: string;
}
export type UpstreamConfig = OidcUpstreamConfig;

export function* upstreamProblems(upstream: UpstreamFile): Generator<RuleProblem> {
  const { protocol, hostname } = new URL(upstream.issuer);
  if (protocol === 'http:' && !isLoopback(hostname))
    yield { path: ['issuer'], message: 'expected https: http is for loopback only' };
  const { clientSecret, scopes } = upstream;
  if (clientSecret !== undefined && SecretReference.parse(clientSecret, '/') === null)
    yield {
      path: ['clientSecret'],
      message: 'a secret does not belong in this file: use env:NAME or file:PATH',
    };
  if (scopes !== undefined && !scopes.includes('openid'))
    yield { path: ['scopes'], message: 'expected openid among the scopes' };
}

/** @param base directory at which paths start */
export function upstreamOf(upstream: UpstreamFile, base: string): UpstreamConfig {
  const { kind, clientId, clientSecret, scopes, groupsClaim } = upstream;
  return {
    kind,
    issuer: upstream.issuer,
    clientId,
    clientSecret: clientSecret === undefined ? null : reference(clientSecret, base),
    scopes: scopes ?? ['openid', 'email', 'offline_access'],
    groupsClaim: groupsClaim ?? 'groups',
  };
}
