/**
 * A relay and an OpenID provider in one small server, for tests of the client: strict about rotation (a refresh token
 * that comes twice ends the grant), counts what it was asked, and can be told to refuse.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { hash } from 'node:crypto';
import {
  calculateJwkThumbprint,
  decodeJwt,
  EmbeddedJWK,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  type JWK,
} from 'jose';

const { privateKey, publicKey } = await generateKeyPair('ES256');
const login = '01JD4Q3M9RAN8C8A2Z4H5W6X7Y';

export class ScriptedRelay {
  readonly url: string;
  readonly #server: http.Server;
  /** Lifetime of access tokens that are handed out from now on. */
  lifetimeSeconds = 600;
  /** The person decided; until then the device grant is pending. */
  approved = true;
  deviceError: string | null = null;
  refreshes = 0;
  logins = 0;
  /** The grant ended: refused, or a refresh token came twice. */
  revoked = false;
  vkey = 'relay.example/log+00000000+AA==';
  /** Answers `POST /v1/login` with this status. */
  loginStatus = 200;
  readonly scopes = ['openid', 'offline_access'];
  /** Form bodies that the provider got. */
  readonly forms: Record<string, string>[] = [];
  /** What the provider says of the end of the sign-in. */
  renewable: Record<string, unknown> = {};
  /** OpenID Connect Key Binding 1.0, as strict as it says. */
  keyBinding = false;
  /** What came to `POST /v1/login`. */
  readonly idTokens: string[] = [];
  #boundJkt: string | null = null;
  #refreshToken = 'refresh-0';

  private constructor(server: http.Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<ScriptedRelay> {
    const server = http.createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const relay = new ScriptedRelay(server);
    server.on('request', (request, response) => void relay.#serve(request, response));
    return relay;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await text(request);
    const [status, document] = await this.#answer(request, body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  }

  async #answer(request: http.IncomingMessage, body: string): Promise<[number, unknown]> {
    const form = Object.fromEntries(new URLSearchParams(body));
    switch (request.url) {
      case '/.well-known/hoop':
        return [200, this.#discovery()];
      case '/idp/.well-known/openid-configuration':
        return [200, this.#metadata()];
      case '/idp/jwks':
        return [200, { keys: [await exportJWK(publicKey)] }];
      case '/idp/device':
        this.forms.push(form);
        this.#boundJkt = form['scope']?.split(' ').includes('bound_key') ? form['dpop_jkt']! : null;
        return [200, this.#device()];
      case '/idp/token':
        this.forms.push(form);
        return this.#token(form, String(request.headers['dpop']));
      case '/v1/login':
        this.logins++;
        this.idTokens.push(JSON.parse(body).idToken);
        if (this.loginStatus !== 200) return [this.loginStatus, refusal(this.loginStatus)];
        return [200, this.#login(String(request.headers['dpop']))];
      default:
        return [404, refusal(404)];
    }
  }

  #discovery() {
    const log = { origin: 'relay.example/log', vkey: this.vkey, url: `${this.url}/log` };
    return {
      version: 1,
      relay: this.url,
      issuer: `${this.url}/idp`,
      clientId: 'hoop-cli',
      scopes: this.scopes,
      log,
    };
  }

  #metadata() {
    const issuer = `${this.url}/idp`;
    return {
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      device_authorization_endpoint: `${issuer}/device`,
      jwks_uri: `${issuer}/jwks`,
      id_token_signing_alg_values_supported: ['ES256'],
      code_challenge_methods_supported: ['S256'],
      response_types_supported: ['none'],
      subject_types_supported: ['public'],
      ...(this.keyBinding && {
        scopes_supported: ['openid', 'bound_key'],
        dpop_signing_alg_values_supported: ['ES256'],
      }),
    };
  }

  #device() {
    return {
      device_code: 'device-1',
      user_code: 'WDJB-MJHT',
      verification_uri: `${this.url}/idp/page`,
      expires_in: 60,
      interval: 1,
    };
  }

  async #token(form: Record<string, string>, proof: string): Promise<[number, unknown]> {
    if (form['grant_type'] === 'refresh_token') {
      this.refreshes++;
      if (this.revoked || form['refresh_token'] !== this.#refreshToken) this.revoked = true;
      if (this.revoked) return [400, { error: 'invalid_grant' }];
    } else if (this.deviceError !== null) return [400, { error: this.deviceError }];
    else if (!this.approved) return [400, { error: 'authorization_pending' }];
    const bound = this.#boundJkt === null ? null : await boundKey(form, proof, this.#boundJkt);
    if (bound === undefined) return [400, { error: 'invalid_dpop_proof' }];
    this.#refreshToken = `refresh-${this.refreshes}`;
    const idToken = await new SignJWT(bound === null ? {} : { cnf: { jwk: bound } })
      .setProtectedHeader({ alg: 'ES256', ...(bound !== null && { typ: 'dpop+id_token' }) })
      .setIssuer(`${this.url}/idp`)
      .setSubject('ana')
      .setAudience('hoop-cli')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    const token = { access_token: 'at', token_type: 'bearer', id_token: idToken };
    return [200, { ...token, refresh_token: this.#refreshToken, ...this.renewable }];
  }

  #login(proof: string) {
    if (decodeJwt(proof)['htm'] !== 'POST') throw new Error('no proof');
    const email = 'ana@example.com';
    return {
      login,
      accessToken: `access-${this.logins}`,
      expiresInSeconds: this.lifetimeSeconds,
      principal: {
        kind: 'person',
        issuer: `${this.url}/idp`,
        subject: 'ana',
        email,
        groups: ['engineering'],
      },
    };
  }
}

/** §2.3: the proof is by the key that was announced, and names the code that it redeems. Undefined: it is not. */
async function boundKey(
  form: Record<string, string>,
  proof: string,
  announced: string,
): Promise<JWK | undefined> {
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt' });
  const code = form['device_code'];
  const named = code === undefined ? undefined : hash('sha256', code, 'base64url');
  const jwk = protectedHeader['jwk'] as JWK;
  const jkt = await calculateJwkThumbprint(jwk);
  return jkt === announced && (named === undefined || payload['c_s256'] === named) ? jwk : undefined;
}

const refusal = (status: number) => ({
  title: 'No.',
  status,
  code: status === 401 ? 'login-ended' : 'internal',
});
