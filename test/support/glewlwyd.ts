/**
 * Glewlwyd, a real OpenID provider (https://glewlwyd.tld), in a directory of its own: SQLite, a free port, set up through
 * its API as its administration pages would. The browser is told by what those pages call: sign in, grant, confirm.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { Running } from '../../src/cli/demo/hoop.ts';

const schema = '/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3';

export interface GlewlwydPerson {
  readonly username: string;
  readonly password: string;
  readonly email: string;
  readonly groups: readonly string[];
}

export class Glewlwyd {
  readonly issuer: string;
  readonly clientId = 'hoop';
  readonly #base: string;
  readonly #running: Running;
  #admin = '';

  private constructor(base: string, running: Running) {
    this.#base = base;
    this.issuer = `${base}/api/oidc`;
    this.#running = running;
  }

  /** @param directory exists and is empty */
  static async start(directory: string): Promise<Glewlwyd> {
    const port = await freePort();
    const base = `http://localhost:${port}`;
    const database = path.join(directory, 'glewlwyd.db');
    const db = new DatabaseSync(database);
    db.exec(readFileSync(schema, 'utf8'));
    db.close();
    const file = path.join(directory, 'glewlwyd.conf');
    writeFileSync(file, configuration(port, base, database), { mode: 0o600 });
    const running = new Running('glewlwyd', [`--config-file=${file}`], { PATH: process.env['PATH'] });
    await running.says(/Glewlwyd started/);
    const glewlwyd = new Glewlwyd(base, running);
    await glewlwyd.#setUp();
    return glewlwyd;
  }

  async addPerson(person: GlewlwydPerson): Promise<void> {
    await this.#call('POST', '/user/', {
      ...person,
      name: person.username,
      enabled: true,
      scope: ['openid', 'g_profile'],
    });
  }

  async disable({ username, ...person }: GlewlwydPerson): Promise<void> {
    const { password: _, ...kept } = person;
    this.#admin = await this.#signIn('admin', 'password');
    await this.#call('PUT', `/user/${username}`, { ...kept, enabled: false, scope: ['openid', 'g_profile'] });
  }

  /** What the person does in a browser with the code of the terminal. */
  async confirm({ username, password }: GlewlwydPerson, userCode: string): Promise<void> {
    const session = await this.#signIn(username, password);
    await this.#call('PUT', '/auth/grant/hoop/', { scope: 'openid' }, session);
    const place = `/oidc/device?code=${encodeURIComponent(userCode)}&g_continue`;
    const answer = await this.#call('GET', place, undefined, session);
    assert.match(answer.headers.get('location') ?? '', /prompt=deviceComplete/);
  }

  async stop(): Promise<void> {
    await this.#running.stop();
  }

  async #setUp(): Promise<void> {
    this.#admin = await this.#signIn('admin', 'password');
    const found = await (await this.#call('GET', '/mod/user/database')).text();
    const module = JSON.parse(found);
    module.parameters['data-format'].groups = { multiple: true, read: true, write: true };
    await this.#call('PUT', '/mod/user/database', module);
    await this.#call('PUT', '/mod/reload/');
    await this.#call('POST', '/mod/plugin/', {
      module: 'oidc',
      name: 'oidc',
      display_name: 'oidc',
      order_rank: 0,
      parameters: this.#plugin(),
    });
    await this.#call('POST', '/client/', {
      client_id: this.clientId,
      name: 'hoop',
      enabled: true,
      confidential: false,
      scope: ['openid'],
      authorization_type: ['device_authorization', 'refresh_token'],
      token_endpoint_auth_method: ['none'],
      redirect_uri: ['http://localhost/none'],
    });
  }

  #plugin() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const flows = ['code', 'token', 'none', 'password', 'client'];
    return {
      iss: this.issuer,
      'jwt-type': 'ecdsa',
      'jwt-key-size': '256',
      key: privateKey,
      cert: publicKey,
      'access-token-duration': 3600,
      'refresh-token-duration': 86_400,
      'refresh-token-rolling': true,
      'code-duration': 600,
      ...Object.fromEntries(flows.map((flow) => [`auth-type-${flow}-enabled`, false])),
      'auth-type-refresh-enabled': true,
      'auth-type-device-enabled': true,
      'device-authorization-expiration': 600,
      'device-authorization-interval': 1,
      'subject-type': 'public',
      claims: [{ name: 'groups', type: 'string', 'user-property': 'groups', mandatory: true, scope: [] }],
      'email-claim': 'mandatory',
      'oauth-dpop-allowed': true,
      'oauth-dpop-iat-duration': 60,
      'jwks-show': true,
      'pkce-allowed': true,
    };
  }

  async #signIn(username: string, password: string): Promise<string> {
    const answer = await this.#call('POST', '/auth/', { username, password });
    return answer.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ');
  }

  async #call(method: string, place: string, body?: unknown, cookie = this.#admin): Promise<Response> {
    const answer = await fetch(`${this.#base}/api${place}`, {
      method,
      redirect: 'manual',
      headers: { cookie, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    assert.ok(
      answer.status < 400,
      `${method} ${place}: ${answer.status} ${answer.ok ? '' : await answer.text()}`,
    );
    return answer;
  }
}

const configuration = (port: number, base: string, database: string): string => `
port=${port}
bind_address="127.0.0.1"
external_url="${base}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="INFO"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = { type = "sqlite3"; path = "${database}"; };
`;
