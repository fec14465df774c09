/** A relay whose people sign in at a scripted upstream, and a person up to where a test takes over. */
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import type { LoginKey } from '../../../src/identity/login-key.ts';
import { OidcUpstream } from '../../../src/relay/idp/upstream/oidc.ts';
import { WebBrowser, type WebPage } from '../../support/web-browser.ts';
import { call, client, newKey, poll, startDevice, startRelay, type Client } from './relay.ts';
import { scriptedClientId, startScriptedUpstream } from './scripted-upstream.ts';

export async function startUpstreamStage() {
  const upstream = await startScriptedUpstream();
  const relay = await startRelay({
    upstreamAt: async (_, parts) =>
      new OidcUpstream({
        issuer: upstream.issuer,
        clientId: scriptedClientId,
        clientSecret: () => 'client secret',
        scopes: ['openid', 'email'],
        groupsClaim: 'groups',
        groupsMap: new Map(),
        clockSkewSeconds: 60,
        clock: parts.clock,
        replay: parts.replay,
        onKeys: (seen) => parts.onKeys(upstream.issuer, seen),
      }),
  });
  /** A person has confirmed the code and stands before the upstream's page. */
  async function sent(more: Record<string, string> = {}, by: LoginKey | null = null): Promise<Sent> {
    const key = by ?? (await newKey());
    const device = await client(relay, key);
    const started = await (more['max_age'] === undefined && more['acr_values'] === undefined
      ? startDevice(device)
      : oidc.initiateDeviceAuthorization(device.config, { scope: 'openid email groups', ...more }));
    const browser = new WebBrowser((url) => url.origin === upstream.issuer);
    const entry = await browser.open(started.verification_uri);
    const confirm = await browser.submit(entry, { user_code: started.user_code });
    const { url } = await browser.submit(confirm, { confirm: 'yes' });
    assert.equal(url.origin, upstream.issuer);
    return { key, device, started, browser, asked: url.searchParams };
  }

  /** The upstream sends the browser back with these parameters, or others. */
  function back(
    { asked, browser }: Sent,
    other: Record<string, string | null> = {},
    by = browser,
  ): Promise<WebPage> {
    const url = new URL(asked.get('redirect_uri') ?? '');
    const answer = { code: 'code-1', state: asked.get('state'), iss: upstream.issuer, ...other };
    for (const [name, value] of Object.entries(answer)) if (value !== null) url.searchParams.set(name, value);
    return by.open(url);
  }

  /** From now on every code brings these claims, right but for `other`. */
  function bring(
    asked: URLSearchParams,
    other: Record<string, unknown> = {},
    more: Record<string, unknown> = {},
  ): void {
    upstream.token = () => upstream.tokens({ ...upstream.claims(asked.get('nonce')), ...other }, more);
  }

  async function logIn(
    other: Record<string, unknown> = {},
    more: Record<string, unknown> = { refresh_token: 'r-1' },
  ) {
    const it = await sent();
    bring(it.asked, other, more);
    const done = await back(it);
    assert.match(done.html, /Your terminal is signed in/, done.html);
    const tokens = await poll(it.device, it.started);
    const answer = await call(relay, it.key, '/v1/login', {
      method: 'POST',
      body: { idToken: tokens.id_token },
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    const { login, accessToken, principal } = (await answer.json()) as {
      login: string;
      accessToken: string;
      principal: { issuer: string; subject: string; groups: string[]; email: string };
    };
    return { ...it, tokens, login, accessToken, principal };
  }

  const close = async () => {
    await relay.close();
    await upstream.close();
  };
  return { upstream, relay, sent, back, bring, logIn, close };
}

export interface Sent {
  readonly key: LoginKey;
  readonly device: Client;
  readonly started: oidc.DeviceAuthorizationResponse;
  readonly browser: WebBrowser;
  /** What the relay asked the upstream for. */
  readonly asked: URLSearchParams;
}

/** The page says so, and the terminal has got nothing. */
export async function refused(it: Sent, page: WebPage, status = 400): Promise<void> {
  assert.equal(page.status, status, page.html);
  assert.doesNotMatch(page.html, /signed in/);
  await assert.rejects(
    oidc.genericGrantRequest(
      it.device.config,
      'urn:ietf:params:oauth:grant-type:device_code',
      { device_code: it.started.device_code },
      { DPoP: it.device.DPoP },
    ),
    { error: status === 403 ? 'access_denied' : 'authorization_pending' },
  );
}
