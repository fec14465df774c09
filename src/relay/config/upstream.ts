/** `identity.upstream`: where the embedded provider lets people sign in, when it has no people of its own. */
import path from 'node:path';
import { z } from 'zod';
import { isLoopback } from './loopback.ts';
import type { GroupsMap } from '../../identity/groups.ts';
import type { RuleProblem } from './rules.ts';
import { reference, SecretReference } from './secret.ts';
import { closed, durationMs, groupsMap, parsed, text } from './shapes.ts';

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
  groupsMap: groupsMap.optional(),
  clockSkew: durationMs('0s', '5m').prefault('60s'),
});

const attribute = text('the Name of an Attribute', 256);

const saml = closed({
  kind: z.literal('saml'),
  metadata: text('a path, or an https URL', 4096),
  entityId: parsed(
    (value) => (/^[\x21-\x7E]{1,1024}$/.test(value) && URL.canParse(value) ? value : null),
    'a URI of at most 1,024 characters',
  ).optional(),
  attributes: closed({
    email: attribute.optional(),
    groups: attribute.optional(),
    subject: attribute.optional(),
  }).prefault({}),
  clockSkew: durationMs('0s', '5m').prefault('60s'),
});

export const upstreamSchema = z.discriminatedUnion('kind', [oidc, saml], {
  error: 'expected kind: oidc or kind: saml',
});
export type UpstreamFile = z.output<typeof upstreamSchema>;

export interface OidcUpstreamConfig {
  readonly kind: 'oidc';
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client, by PKCE alone. */
  readonly clientSecret: SecretReference | null;
  readonly scopes: readonly string[];
  readonly groupsClaim: string;
  readonly groupsMap: GroupsMap;
  readonly clockSkewSeconds: number;
}

export interface SamlUpstreamConfig {
  readonly kind: 'saml';
  /** Absolute path of a file, or URL. */
  readonly metadata: string;
  /** Ours; null: the URL of our metadata. */
  readonly entityId: string | null;
  /** Names of Attributes; null: none. `subject` null: the NameID. */
  readonly attributes: {
    readonly email: string | null;
    readonly groups: string | null;
    readonly subject: string | null;
  };
  readonly clockSkewMs: number;
}
export type UpstreamConfig = OidcUpstreamConfig | SamlUpstreamConfig;

/** Where people sign in, for messages. */
export const upstreamName = (upstream: UpstreamConfig): string =>
  upstream.kind === 'oidc' ? upstream.issuer : `the SAML provider of ${upstream.metadata}`;

const isUrl = (metadata: string): boolean => /^https?:/i.test(metadata);

export function* upstreamProblems(upstream: UpstreamFile): Generator<RuleProblem> {
  if (upstream.kind === 'saml') {
    const url = isUrl(upstream.metadata) ? URL.parse(upstream.metadata) : null;
    if (isUrl(upstream.metadata) && (url === null || url.username !== '' || url.password !== ''))
      yield { path: ['metadata'], message: 'expected a path, or an https URL without user and password' };
    else if (url?.protocol === 'http:' && !isLoopback(url.hostname))
      yield { path: ['metadata'], message: 'expected https: http is for loopback only' };
    return;
  }
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
  if (upstream.kind === 'saml') {
    const { kind, metadata, entityId, attributes, clockSkew } = upstream;
    return {
      kind,
      metadata: isUrl(metadata) ? metadata : path.resolve(base, metadata),
      entityId: entityId ?? null,
      attributes: {
        email: attributes.email ?? null,
        groups: attributes.groups ?? null,
        subject: attributes.subject ?? null,
      },
      clockSkewMs: clockSkew,
    };
  }
  const { kind, clientId, clientSecret, scopes, groupsClaim } = upstream;
  return {
    kind,
    issuer: upstream.issuer,
    clientId,
    clientSecret: clientSecret === undefined ? null : reference(clientSecret, base),
    scopes: scopes ?? ['openid', 'email', 'offline_access'],
    groupsClaim: groupsClaim ?? 'groups',
    groupsMap: new Map(Object.entries(upstream.groupsMap ?? {})),
    clockSkewSeconds: upstream.clockSkew / 1000,
  };
}
