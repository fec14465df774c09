/** An OpenID provider that says whatever a test tells it to: what a broker must not believe. Real HTTP, real signatures. */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export type ScriptedUpstream = Awaited<ReturnType<typeof startScriptedUpstream>>;

export const scriptedClientId = 'hoop-relay';

export async function startScriptedUpstream() {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      void answer(request.url ?? '', Buffer.concat(chunks).toString()).then(({ status, body }) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const upstream = {
    issuer,
    /** More of the discovery document, or other. */
    metadata: {} as Record<string, unknown>,
    /** Forms that the token endpoint got. */
    forms: [] as URLSearchParams[],
    /** What the token endpoint answers. */
    token: async (_form: URLSearchParams): Promise<{ status: number; body: unknown }> => ({
      status: 400,
      body: { error: 'invalid_grant' },
    }),
    /** Signed by the issuer's key; `header` may say otherwise. */
    sign: (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(privateKey),
    /** Claims of an ID token that is right for this nonce. */
    claims: (nonce: string | null) => {
      const now = Math.floor(Date.now() / 1000);
      return {
        iss: issuer,
        sub: 'u-1',
        aud: scriptedClientId,
        iat: now,
        exp: now + 300,
        email: 'ana@corp.example',
        email_verified: true,
        groups: ['staff'],
        ...(nonce === null ? {} : { nonce }),
      };
    },
    /** A token endpoint's answer with these claims in its ID token. */
    tokens: async (claims: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
      status: 200,
      body: {
        access_token: 'access',
        token_type: 'Bearer',
        expires_in: 300,
        id_token: await upstream.sign({ at_hash: accessTokenHash('access'), ...claims }),
        ...more,
      },
    }),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  async function answer(url: string, body: string): Promise<{ status: number; body: unknown }> {
    switch (url) {
      case '/.well-known/openid-configuration':
        return { status: 200, body: { ...metadata(), ...upstream.metadata } };
      case '/jwks':
        return { status: 200, body: { keys: [jwk] } };
      case '/token': {
        const form = new URLSearchParams(body);
        upstream.forms.push(form);
        return upstream.token(form);
      }
      default:
        return { status: 404, body: {} };
    }
  }

  const metadata = () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    authorization_response_iss_parameter_supported: true,
  });

  return upstream;
}

export const accessTokenHash = (token: string): string =>
  hash('sha256', token, 'buffer').subarray(0, 16).toString('base64url');
