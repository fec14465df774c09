/**
 * An issuer of workload tokens on loopback: discovery, keys, and tokens in the shapes that GitHub Actions, GitLab CI and
 * Kubernetes give them (names of claims as in their documentation). `const issuer = await MachineIssuer.start()`.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export class MachineIssuer {
  readonly url: string;
  readonly #server: Server;
  #key: CryptoKey;
  #jwk: JWK;

  private constructor(server: Server, key: CryptoKey, jwk: JWK) {
    this.#server = server;
    this.#key = key;
    this.#jwk = jwk;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, answer) => {
      const body =
        request.url === '/jwks'
          ? { keys: [this.#jwk] }
          : { issuer: this.url, jwks_uri: `${this.url}/jwks`, response_types_supported: ['id_token'] };
      answer.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    });
  }

  static async start(): Promise<MachineIssuer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { key, jwk } = await newKey('first');
    return new MachineIssuer(server, key, jwk);
  }

  /** @param seconds from now; `issuedSeconds` before now it was issued */
  token(
    claims: Record<string, unknown>,
    { seconds = 300, issuedSeconds = 0, key = this.#key } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ iss: this.url, iat: now - issuedSeconds, exp: now + seconds, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: this.#jwk.kid ?? '', typ: 'JWT' })
      .sign(key);
  }

  github(audience: string, changes: Record<string, unknown> = {}, times = {}): Promise<string> {
    const claims = {
      sub: 'repo:acme/shop:ref:refs/heads/main',
      aud: audience,
      repository: 'acme/shop',
      repository_owner: 'acme',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      job_workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main',
      event_name: 'push',
      jti: crypto.randomUUID(),
    };
    return this.token({ ...claims, ...changes }, times);
  }

  gitlab(audience: string, changes: Record<string, unknown> = {}): Promise<string> {
    const claims = {
      sub: 'project_path:acme/shop:ref_type:branch:ref:main',
      aud: audience,
      project_path: 'acme/shop',
      namespace_path: 'acme',
      ref: 'main',
      ref_protected: 'true',
      pipeline_source: 'push',
    };
    return this.token({ ...claims, ...changes });
  }

  kubernetes(audience: string, changes: Record<string, unknown> = {}, times = {}): Promise<string> {
    const claims = {
      sub: 'system:serviceaccount:batch:nightly',
      aud: [audience],
      'kubernetes.io': {
        namespace: 'batch',
        pod: { name: 'nightly-1', uid: crypto.randomUUID() },
        serviceaccount: { name: 'nightly', uid: '5f0d' },
      },
    };
    return this.token({ ...claims, ...changes }, times);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

async function newKey(kid: string): Promise<{ key: CryptoKey; jwk: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  return { key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } };
}
