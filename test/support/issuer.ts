/**
 * An OpenID provider of the tests' own on a port of its own, whose tokens have the shapes of the big ones: discovery, keys
 * that rotate, the device grant with a page for the browser, refresh tokens that rotate and end the grant when one comes
 * twice. Strict where those are: a client secret where one is given, scopes that are known.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export interface IssuerPerson {
  readonly email: string;
  readonly password: string;
  readonly subject: string;
  readonly groups: readonly string[];
  disabled: boolean;
}

/** What a provider's tokens look like. */
export interface Shape {
  /** Path of the issuer below the host. */
  readonly path: string;
  readonly clientId: string;
  readonly clientSecret: string | null;
  readonly scopes: readonly string[];
  /** Claims beside those of every ID token. */
  claims(person: IssuerPerson, act: Act, clientId: string): Record<string, unknown>;
}

/** How the person signed in. */
export interface Act {
  readonly authTime: number;
  readonly acr: string | null;
}

const plain = { clientSecret: null, scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'] };

export const shapes = {
  okta: {
    ...plain,
    path: '/oauth2/default',
    clientId: '0oa1hoop',
    claims: ({ email, groups }, { authTime, acr }) => ({
      ver: 1,
      email,
      email_verified: true,
      groups,
      auth_time: authTime,
      amr: acr === null ? ['pwd'] : ['pwd', 'mfa', 'otp'],
      ...(acr !== null && { acr }),
    }),
  },
  entra: {
    ...plain,
    path: '/5f0e3c5e-tenant/v2.0',
    clientId: '7d1e-hoop',
    claims: ({ email, groups, subject }) => ({
      ver: '2.0',
      tid: '5f0e3c5e-tenant',
      oid: `oid-${subject}`,
      preferred_username: email,
      // More than the provider puts into a token: it says where they could be asked for.
      ...(groups.length > 200
        ? {
            _claim_names: { groups: 'src1' },
            _claim_sources: { src1: { endpoint: 'https://graph.example/getMemberObjects' } },
          }
        : { groups }),
    }),
  },
  google: {
    path: '',
    clientId: 'hoop.apps.example',
    clientSecret: 'GOCSPX-not-a-secret',
    scopes: ['openid', 'email', 'profile'],
    claims: ({ email }, _act, clientId) => ({
      azp: clientId,
      email,
      email_verified: true,
      hd: email.split('@')[1],
    }),
  },
  keycloak: {
    ...plain,
    path: '/realms/acme',
    clientId: 'hoop',
    claims: ({ email, groups }, { authTime, acr }, clientId) => ({
      typ: 'ID',
      azp: clientId,
      sid: '5b1c',
      auth_time: authTime,
      acr: acr ?? '1',
      email,
      email_verified: false,
      groups: groups.map((group) => `/${group}`),
      realm_access: { roles: groups },
    }),
  },
  gitlab: {
    ...plain,
    path: '',
    clientId: 'hoop',
    scopes: ['openid', 'email', 'profile'],
    claims: ({ email, groups }, { authTime }) => ({
      auth_time: authTime,
      sub_legacy: 'b0b',
      email,
      email_verified: true,
      groups_direct: groups,
    }),
  },
} as const satisfies Record<string, Shape>;

interface Device {
  readonly userCode: string;
  readonly form: Readonly<Record<string, string>>;
  grant: Grant | null;
}

interface Grant {
  readonly person: IssuerPerson;
  readonly act: Act;
  /** The one that may come next; null: it came twice, or the person was refused. */
  refreshToken: string | null;
}

export class TestIssuer {
  readonly url: string;
  readonly shape: Shape;
  /** Bodies of what came to the device authorization endpoint. */
  readonly asked: Readonly<Record<string, string>>[] = [];
  refreshes = 0;
  /** Age of the session that the browser has at the provider already, in seconds; it is used unless something newer is asked for. */
  sessionAgeSeconds = 0;
  /** Classes of authentication that it can ask for. */
  acrs: readonly string[] = [];
  readonly #server: http.Server;
  readonly #people = new Map<string, IssuerPerson>();
  readonly #devices = new Map<string, Device>();
  readonly #grants = new Map<string, Grant>();
  #keys: { readonly privateKey: CryptoKey; readonly jwk: JWK }[] = [];

  private constructor(server: http.Server, shape: Shape) {
    this.#server = server;
    this.shape = shape;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${shape.path}`;
  }

  static async start(shape: Shape): Promise<TestIssuer> {
    const server = http.createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const issuer = new TestIssuer(server, shape);
    await issuer.rotateKeys();
    server.on('request', (request, response) => void issuer.#serve(request, response));
    return issuer;
  }

  /** Signs with a new key from now on; the old one is no longer published. */
  async rotateKeys(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const kid = randomBytes(6).toString('hex');
    this.#keys = [{ privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } }];
  }

  addPerson(email: string, groups: readonly string[]): IssuerPerson {
    const password = randomBytes(9).toString('base64url');
    const person = { email, password, subject: `sub-${this.#people.size + 1}`, groups, disabled: false };
    this.#people.set(email, person);
    return person;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const form = Object.fromEntries(new URLSearchParams(await text(request)));
    const { pathname } = new URL(request.url ?? '/', this.url);
    const place = pathname.slice(this.shape.path.length);
    if (place === '/device') {
      const page = request.method === 'POST' ? this.#confirm(form) : codePage;
      response.writeHead(200, { 'content-type': 'text/html' }).end(page);
      return;
    }
    const [status, document] = await this.#answer(place, form);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  }

  async #answer(place: string, form: Record<string, string>): Promise<[number, unknown]> {
    switch (place) {
      case '/.well-known/openid-configuration':
        return [200, this.#metadata()];
      case '/keys':
        return [200, { keys: this.#keys.map(({ jwk }) => jwk) }];
      case '/device_authorization':
        return this.#authorize(form);
      case '/token':
        return this.#token(form);
      default:
        return [404, {}];
    }
  }

  #metadata() {
    const { url } = this;
    return {
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      device_authorization_endpoint: `${url}/device_authorization`,
      jwks_uri: `${url}/keys`,
      id_token_signing_alg_values_supported: ['RS256'],
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      ...(this.shape.clientSecret !== null && {
        token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
      }),
    };
  }

  #authorize(form: Record<string, string>): [number, unknown] {
    const { clientId, scopes } = this.shape;
    this.asked.push(form);
    if (form['client_id'] !== clientId) return [401, { error: 'invalid_client' }];
    if (!(form['scope'] ?? '').split(' ').every((scope) => scopes.includes(scope)))
      return [400, { error: 'invalid_scope' }];
    const wanted = form['acr_values'];
    if (wanted !== undefined && !this.acrs.includes(wanted))
      return [400, { error: 'unmet_authentication_requirements' }];
    const deviceCode = randomBytes(16).toString('hex');
    const letters = [...randomBytes(8)].map((byte) => 'BCDFGHJKLMNPQRSTVWXZ'[byte % 20]).join('');
    const userCode = `${letters.slice(0, 4)}-${letters.slice(4)}`;
    this.#devices.set(deviceCode, { userCode, form, grant: null });
    return [
      200,
      {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: `${this.url}/device`,
        expires_in: 300,
        interval: 1,
      },
    ];
  }

  /** The page of the browser: who types a right code and a right password is signed in at the terminal. */
  #confirm(form: Record<string, string>): string {
    const device = [...this.#devices.values()].find(({ userCode }) => userCode === form['user_code']);
    const person = this.#people.get(form['email'] ?? '');
    if (device === undefined || person === undefined || person.password !== form['password'])
      return '<p>That was wrong.</p>';
    const maxAge = Number(device.form['max_age'] ?? Infinity);
    const age = this.sessionAgeSeconds > maxAge ? 0 : this.sessionAgeSeconds;
    const act = {
      authTime: Math.floor(Date.now() / 1000) - age,
      acr: device.form['acr_values'] ?? null,
    };
    device.grant = { person, act, refreshToken: null };
    return '<p>Signed in.</p>';
  }

  #token(form: Record<string, string>): Promise<[number, unknown]> | [number, unknown] {
    const { clientId, clientSecret } = this.shape;
    if (form['client_id'] !== clientId || (clientSecret !== null && form['client_secret'] !== clientSecret))
      return [401, { error: 'invalid_client' }];
    if (form['grant_type'] === 'refresh_token') {
      this.refreshes++;
      const token = form['refresh_token'] ?? '';
      const grant = this.#grants.get(token);
      if (grant === undefined || grant.person.disabled || grant.refreshToken !== token) {
        if (grant !== undefined) grant.refreshToken = null;
        return [400, { error: 'invalid_grant' }];
      }
      return this.#answerGrant(grant);
    }
    const device = this.#devices.get(form['device_code'] ?? '');
    if (device === undefined) return [400, { error: 'invalid_grant' }];
    if (device.grant === null) return [400, { error: 'authorization_pending' }];
    return this.#answerGrant(device.grant);
  }

  async #answerGrant(grant: Grant): Promise<[number, unknown]> {
    const token = randomBytes(16).toString('hex');
    grant.refreshToken = token;
    this.#grants.set(token, grant);
    const { clientId } = this.shape;
    const claims = this.shape.claims(grant.person, grant.act, clientId);
    return [
      200,
      {
        access_token: 'opaque',
        token_type: 'Bearer',
        expires_in: 3600,
        refresh_token: token,
        id_token: await this.sign({ sub: grant.person.subject, ...claims }),
      },
    ];
  }

  /** An ID token of this issuer with these claims. */
  sign(claims: Record<string, unknown>): Promise<string> {
    const [key] = this.#keys;
    assert.ok(key);
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ iss: this.url, aud: this.shape.clientId, iat: now, exp: now + 300, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key.jwk.kid! })
      .sign(key.privateKey);
  }
}

const codePage = `<form method="post"><input name="user_code"><input name="email"><input name="password" type="password">
  <button>Sign in</button></form>`;
