/** A relay of identity alone, on a port of its own: state, embedded provider, sign-in routes; entries go into a list. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import * as oidc from 'openid-client';
import { relayActor, type NewEntry } from '../../../src/evidence/entry.ts';
import { keepProof } from '../../../src/evidence/logins/archive.ts';
import { generateTokenKey } from '../../../src/identity/access-token.ts';
import { makeProof } from '../../../src/identity/dpop.ts';
import { generateLoginKey, importLoginKey, type LoginKey } from '../../../src/identity/login-key.ts';
import type { SeenKeys } from '../../../src/identity/issuer-keys.ts';
import type { MachineRule } from '../../../src/identity/machine-token.ts';
import { Policies } from '../../../src/policy/policies.ts';
import { delegationRoutes } from '../../../src/relay/api/delegations.ts';
import { createIdentity, type RelayIdentity } from '../../../src/relay/api/identity.ts';
import { authenticate, loginRoutes, offerNonces } from '../../../src/relay/api/login.ts';
import { sendProblem } from '../../../src/relay/api/problem.ts';
import { generateProviderKeys } from '../../../src/relay/idp/keys.ts';
import { mountProvider } from '../../../src/relay/idp/mount.ts';
import {
  createProvider,
  providerClientId,
  providerGroupsClaim,
  providerScopes,
} from '../../../src/relay/idp/provider.ts';
import { openMachines } from '../../../src/relay/machines/open.ts';
import type { UpstreamConfig } from '../../../src/relay/config/upstream.ts';
import type { UpstreamParts } from '../../../src/relay/idp/upstream/open.ts';
import type { Upstream } from '../../../src/relay/idp/upstream/upstream.ts';
import { State } from '../../../src/relay/state/state.ts';
import type { Clock } from '../../../src/system/clock.ts';
import type { LoginAnswer } from '../../../src/wire/api.ts';
import { Browser, type Page } from './browser.ts';

/** The system's clock, set off by hand: for what a test must not wait for. */
export class ShiftedClock implements Clock {
  offsetMs = 0;
  wallMs(): number {
    return Date.now() + this.offsetMs;
  }
  monotonicMs(): number {
    return performance.now() + this.offsetMs;
  }
}

export type TestRelay = Awaited<ReturnType<typeof startRelay>>;

export const newKey = async (): Promise<LoginKey> => importLoginKey(await generateLoginKey());

/** What a test adds to it. */
export type MoreRoutes = (
  app: FastifyInstance,
  parts: { relay: string; identity: RelayIdentity; state: State; clock: Clock },
) => void;

export interface TestRelayOptions {
  readonly machines?: readonly MachineRule[];
  readonly policy?: string;
  /** What the configuration says of an upstream, for what machines are told of people. */
  readonly upstreamConfigured?: UpstreamConfig;
  readonly more?: MoreRoutes;
  /** Where people sign in, given the relay's address; here when absent. */
  readonly upstreamAt?: (relay: string, parts: UpstreamParts) => Promise<Upstream>;
}

export async function startRelay(options: TestRelayOptions = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-identity-'));
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clock = new ShiftedClock();
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);
  const state = await State.open(path.join(directory, 'state.sqlite'), { clock, onError });
  const entries: NewEntry[] = [];
  const append = async (entry: NewEntry) => void entries.push(entry);
  const onKeys = async (issuer: string, { jwks, digest }: SeenKeys) =>
    append({
      kind: 'issuer.keys',
      actor: relayActor,
      issuer,
      jwksDigest: digest,
      jwks: JSON.parse(JSON.stringify(jwks)),
    });
  const parts = { clock, replay: state.replay, onKeys, onError, samlKey: null };
  const provider = createProvider({
    relay,
    state,
    keys: await generateProviderKeys(),
    clock,
    onError,
    upstream: (await options.upstreamAt?.(relay, parts)) ?? null,
    onEnded: (login) => append({ kind: 'login.ended', actor: relayActor, login, reason: 'revoked' }),
  });
  const identity = await createIdentity({
    relay,
    state,
    clock,
    tokenKey: await generateTokenKey(),
    nonceSecret: randomBytes(32),
    issuer: {
      url: provider.issuer,
      clientId: providerClientId,
      groupsClaim: providerGroupsClaim,
      fetchJson: provider.fetchJson,
    },
  });
  const policies = Policies.parse([{ name: 'policy.cedar', text: options.policy ?? '' }]);
  const machines = openMachines({
    config: {
      publicUrl: relay,
      identity: { kind: 'embedded', upstream: options.upstreamConfigured ?? null },
      machines: options.machines ?? [],
    },
    state,
    clock,
    policies: () => policies,
    onIssuerKeys: onKeys,
  });
  const app = Fastify({
    serverFactory: (handler) => server.on('request', handler),
  });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  offerNonces(app, identity);
  loginRoutes(app, {
    identity,
    state,
    clock,
    append,
    origin: 'relay.test/log',
    keepProof: (...proof) => keepProof(directory, ...proof),
    machines,
    vouchesFor: (...token) => provider.accounts.vouchesFor(...token),
    broker: provider.broker,
  });
  delegationRoutes(app, {
    config: { publicUrl: relay },
    policies: () => policies,
    state,
    replay: state.replay,
    clock,
    append,
    authenticate: (request) => authenticate(identity, request),
  });
  app.get('/v1/other', async (request) => (await authenticate(identity, request)).login);
  options.more?.(app, { relay, identity, state, clock });
  await app.register(mountProvider(provider));
  await app.ready();
  const close = async () => {
    server.closeAllConnections();
    await app.close();
    server.close();
    await state.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { relay, directory, state, provider, identity, clock, entries, errors, close };
}

export interface Call {
  readonly method?: string;
  readonly body?: unknown;
  readonly accessToken?: string;
  readonly scheme?: string;
  /** Sent instead of a proof made for the call. */
  readonly proof?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One call of the API as a careful client makes it: with the relay's nonce, and a proof for exactly this call. */
export async function call(test: TestRelay, key: LoginKey, target: string, options: Call = {}) {
  const method = options.method ?? 'GET';
  const url = `${test.relay}${target}`;
  const accessToken = options.accessToken ?? null;
  const nonce = test.identity.nonces.current();
  const headers: Record<string, string> = {
    ...options.headers,
    dpop: options.proof ?? (await makeProof(key, { method, url, accessToken }, nonce, test.clock)),
  };
  if (accessToken !== null) headers['authorization'] = `${options.scheme ?? 'DPoP'} ${accessToken}`;
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  return fetch(url, {
    method,
    headers,
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
}

export const codeOf = async (answer: Response): Promise<string> =>
  ((await answer.json()) as { code: string }).code;

export async function client(test: TestRelay, key: LoginKey) {
  const config = await oidc.discovery(new URL(test.provider.issuer), providerClientId, {}, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  });
  const DPoP = oidc.getDPoPHandle(config, { privateKey: key.privateKey, publicKey: key.publicKey });
  return { config, DPoP };
}

export type Client = Awaited<ReturnType<typeof client>>;

export const startDevice = ({ config }: Client) =>
  oidc.initiateDeviceAuthorization(config, { scope: providerScopes.join(' ') });

export const poll = ({ config, DPoP }: Client, started: oidc.DeviceAuthorizationResponse) =>
  oidc.pollDeviceAuthorizationGrant(config, { ...started, interval: 0.05 }, {}, { DPoP });

/** Enters the code, confirms it, and gives address and password. */
export async function signInBy(
  browser: Browser,
  uri: string,
  code: string,
  person: [string, string],
): Promise<Page> {
  const confirm = await browser.submit(await browser.open(uri), { user_code: code });
  const form = await browser.submit(confirm, {});
  return browser.submit(form, { email: person[0], password: person[1] });
}

/** The whole device grant by a person who does everything right. */
export async function grant(test: TestRelay, key: LoginKey, person: [string, string]) {
  const device = await client(test, key);
  const started = await startDevice(device);
  const done = await signInBy(new Browser(), started.verification_uri, started.user_code, person);
  if (!done.html.includes('Your terminal is signed in')) throw new Error(done.html);
  return { device, tokens: await poll(device, started) };
}

export async function logIn(test: TestRelay, key: LoginKey, person: [string, string]) {
  const { device, tokens } = await grant(test, key, person);
  const body = { idToken: tokens.id_token };
  const answer = await call(test, key, '/v1/login', { method: 'POST', body });
  if (answer.status !== 200) throw new Error(await answer.text());
  return { device, tokens, answer: (await answer.json()) as LoginAnswer };
}
