/**
 * An OpenID provider of its own on a port of its own, as a relay's upstream: oidc-provider with authorization code, PKCE,
 * rotating refresh tokens, back-channel logout; people with a password, who can be disabled; no device grant.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { interactionPolicy, Provider, type Configuration, type Context } from 'oidc-provider';

export interface UpstreamPerson {
  readonly subject: string;
  readonly password: string;
  email: string;
  groups: string[];
  disabled: boolean;
}

export interface OidcUpstreamServer {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** By the name that they type. */
  readonly people: Map<string, UpstreamPerson>;
  /** Queries of authorization requests, as they came. */
  readonly authorizations: URLSearchParams[];
  /** What the token endpoint answered, in order: `grant_type` and the tokens. */
  readonly grants: { readonly type: string; readonly tokens: Record<string, string> }[];
  /** While set, everything is answered with this status: the provider is ill. */
  fails: number | null;
  /** The relay's addresses; before the first sign-in. */
  register(relay: string): Promise<void>;
  close(): Promise<void>;
}

export async function startOidcUpstream(): Promise<OidcUpstreamServer> {
  let handle: ((request: IncomingMessage, response: ServerResponse) => Promise<void>) | null = null;
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    if (request.url?.startsWith('/auth?')) upstream.authorizations.push(query);
    if (upstream.fails !== null) return void response.writeHead(upstream.fails).end('ill');
    void handle?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream: OidcUpstreamServer = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    clientId: 'hoop-relay',
    clientSecret: randomBytes(24).toString('base64url'),
    people: new Map(),
    authorizations: [],
    grants: [],
    fails: null,
    register: async (relay) => {
      handle = await handlerOf(upstream, relay);
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return upstream;
}

async function handlerOf(upstream: OidcUpstreamServer, relay: string) {
  const provider = new Provider(upstream.issuer, await configuration(upstream, relay));
  provider.use(async (context, next) => {
    await next();
    const { params } = (context.oidc ?? {}) as { params?: { grant_type: string } };
    if (context.path === '/token' && context.status === 200 && params !== undefined)
      upstream.grants.push({ type: params.grant_type, tokens: context.body as Record<string, string> });
  });
  const callback = provider.callback();
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const uid = /^\/interaction\/([\w-]+)$/.exec(request.url ?? '')?.[1];
    if (uid === undefined) return callback(request, response);
    response.setHeader('content-type', 'text/html');
    if (request.method !== 'POST')
      return void response.end(
        `<form method="post" action="/interaction/${uid}"><input name="who"><input type="password" name="password"><button name="cancel" value="yes">`.concat(
          '</form>',
        ),
      );
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const person = upstream.people.get(form.get('who') ?? '');
    const right = person !== undefined && !person.disabled && person.password === form.get('password');
    const result = right
      ? { login: { accountId: person.subject, amr: ['pwd', 'otp'], acr: 'urn:test:mfa' } }
      : { error: 'access_denied', error_description: '<script>alert("described")</script>' };
    response.writeHead(303, { location: await provider.interactionResult(request, response, result) }).end();
  };
}

async function configuration(upstream: OidcUpstreamServer, relay: string): Promise<Configuration> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), kid: 'first', alg: 'RS256', use: 'sig' };
  const policy = interactionPolicy.base() as interactionPolicy.Policy & { remove(name: string): void };
  policy.remove('consent');
  const off = { enabled: false };
  const settings: Omit<Configuration, 'adapter'> = {
    jwks: { keys: [jwk] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        client_id: upstream.clientId,
        client_secret: upstream.clientSecret,
        redirect_uris: [`${relay}/idp/callback`],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        backchannel_logout_uri: `${relay}/idp/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
    ],
    scopes: ['openid', 'email', 'groups', 'offline_access'],
    acrValues: ['urn:test:mfa'],
    claims: {
      openid: ['sub', 'acr', 'amr', 'auth_time', 'sid'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: false,
    features: {
      devInteractions: off,
      rpInitiatedLogout: { enabled: true, logoutSource },
      backchannelLogout: { enabled: true },
    },
    interactions: { policy, url: (_: Context, { uid }: { uid: string }) => `/interaction/${uid}` },
    // Its own refuses loopback, where the relay of a test is.
    fetch: (url: string, { method, headers, body }: RequestInit) =>
      fetch(url, { method: method ?? 'GET', headers: headers ?? {}, body: body ?? null }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      IdToken: 600,
      Interaction: 600,
      Session: 3600,
      Grant: 3600,
      RefreshToken: 3600,
    },
    loadExistingGrant: async ({ oidc }: Context) => {
      if (oidc.account === undefined) return undefined;
      const { accountId } = oidc.account;
      const grant = new oidc.provider.Grant({ accountId, clientId: oidc.client.clientId });
      grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' '));
      await grant.save();
      return grant;
    },
    findAccount: (_: Context, id: string) => {
      const person = [...upstream.people.values()].find(({ subject }) => subject === id);
      if (person === undefined || person.disabled) return undefined;
      const { subject, email, groups } = person;
      return { accountId: subject, claims: () => ({ sub: subject, email, email_verified: true, groups }) };
    },
  };
  // Without an adapter it keeps everything in memory.
  return settings as Configuration;
}

const logoutSource = (context: Context, form: string): void => {
  context.body = form.replace('</form>', '<button name="logout" value="yes"></button></form>');
};
