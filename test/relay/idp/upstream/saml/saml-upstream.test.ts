/** The upstream as the broker drives it: requests, step-up, one use, metadata that changes. */
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { createPublicKey, verify as verifySignature, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { ProviderError } from '../../../../../src/relay/idp/error.ts';
import type { IdpMetadata } from '../../../../../src/relay/idp/upstream/saml/metadata.ts';
import type { SamlAttributes } from '../../../../../src/relay/idp/upstream/saml/person.ts';
import { SamlUpstream } from '../../../../../src/relay/idp/upstream/saml/saml-upstream.ts';
import type { UpstreamIdentity } from '../../../../../src/relay/idp/upstream/upstream.ts';
import { State } from '../../../../../src/relay/state/state.ts';
import type { Clock } from '../../../../../src/system/clock.ts';
import {
  acs,
  attribute,
  audience,
  classes,
  makeResponse,
  metadataOf,
  newIdpKey,
  type Key,
  type ResponseOptions,
} from './identity-provider.ts';

class SkippingClock implements Clock {
  skippedMs = 0;
  wallMs = (): number => Date.now();
  monotonicMs = (): number => performance.now() + this.skippedMs;
}

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-saml-upstream-'));
const file = path.join(directory, 'idp.xml');
const clock = new SkippingClock();
let keys: Key[];
let ours: Key;
let state: State;
let seen: IdpMetadata[];
let told: string[];

before(async () => {
  keys = await Promise.all([newIdpKey(), newIdpKey()]);
  ours = await newIdpKey();
  state = await State.open(path.join(directory, 'state.sqlite'));
});
beforeEach(() => {
  writeFileSync(file, metadataOf([keys[0]!]));
  seen = [];
  told = [];
});
after(async () => {
  await state.close();
  rmSync(directory, { recursive: true, force: true });
});

const open = (attributes: Partial<SamlAttributes> = {}, metadata = file): SamlUpstream =>
  new SamlUpstream({
    serviceProvider: { entityId: audience, acsUrl: acs },
    key: ours,
    metadata,
    attributes: { email: 'mail', groups: 'groups', subject: null, ...attributes },
    clockSkewMs: 60_000,
    replay: state.replay,
    clock,
    onKeys: async (metadata) => void seen.push(metadata),
    onError: (error) => void told.push(error.message),
  });

const noStep = { maxAgeSeconds: null, acr: null };
const relayState = 's'.repeat(43);

async function begin(
  upstream: SamlUpstream,
  step: { maxAgeSeconds: number | null; acr: string | null } = noStep,
) {
  const callbackUrl = 'https://relay.example.com/idp/callback';
  const { redirect, keep } = await upstream.begin({ state: relayState, callbackUrl, step });
  const url = new URL(redirect);
  const request = inflateRawSync(Buffer.from(url.searchParams.get('SAMLRequest')!, 'base64')).toString();
  return { url, keep, request, requestId: / ID="([^"]+)"/.exec(request)![1]! };
}

/** One whole sign-in. */
async function signIn(
  upstream: SamlUpstream,
  options: Partial<ResponseOptions> = {},
  step: Parameters<typeof begin>[1] = noStep,
): Promise<UpstreamIdentity> {
  const { keep, requestId } = await begin(upstream, step);
  return finish(upstream, keep, makeResponse({ key: keys[0]!, requestId, ...options }));
}

function finish(
  upstream: SamlUpstream,
  keep: Parameters<SamlUpstream['finish']>[0]['keep'],
  xml: string,
): Promise<UpstreamIdentity> {
  const form = new URLSearchParams({
    SAMLResponse: Buffer.from(xml).toString('base64'),
    RelayState: relayState,
  });
  return upstream.finish({ method: 'POST', url: new URL(acs), form, keep });
}

test('the request goes where the metadata says, for our audience and address, and nothing is asked that need not be', async () => {
  const { url, request } = await begin(open());
  assert.equal(`${url.origin}${url.pathname}`, 'https://idp.example.com/sso');
  assert.equal(url.searchParams.get('RelayState'), relayState);
  assert.equal(url.searchParams.get('Signature'), null);
  for (const part of [
    `AssertionConsumerServiceURL="${acs}"`,
    `>${audience}</saml:Issuer>`,
    'Destination="https://idp.example.com/sso"',
    'Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"',
  ])
    assert.ok(request.includes(part), part);
  assert.doesNotMatch(request, /ForceAuthn|RequestedAuthnContext/);
});

test('a request is signed with our key where the metadata wants it', async () => {
  writeFileSync(file, metadataOf([keys[0]!], { role: ' WantAuthnRequestsSigned="true"' }));
  const { url } = await begin(open());
  const [signed, signature] = url.search.slice(1).split('&Signature=');
  assert.match(signed!, /SigAlg=http%3A%2F%2Fwww\.w3\.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256$/);
  const key = createPublicKey(ours.certificate);
  const bytes = Buffer.from(decodeURIComponent(signature!), 'base64');
  assert.ok(verifySignature('sha256', Buffer.from(signed!), key, bytes));
});

test('a sign-in gives the person, and the very XML as proof', async () => {
  const upstream = open();
  const { keep, requestId } = await begin(upstream);
  const xml = makeResponse({ key: keys[0]!, requestId });
  const identity = await finish(upstream, keep, xml);
  assert.deepEqual(
    { subject: identity.subject, email: identity.email, groups: identity.groups, session: identity.session },
    { subject: 'ana-1234', email: 'ana@example.com', groups: ['engineering', 'dba'], session: '_s1' },
  );
  assert.equal(identity.proof.text, xml);
  assert.ok(identity.endsAtMs! > Date.now() && identity.authTimeMs! <= Date.now());
  assert.deepEqual(
    seen.map(({ jwks }) => jwks.keys.map(({ x5c }) => x5c)),
    [[[new X509Certificate(keys[0]!.certificate).raw.toString('base64')]]],
  );
});

test('an assertion is used once, by whatever relay, and only for the request that it answers', async () => {
  const upstream = open();
  const { keep, requestId } = await begin(upstream);
  const xml = makeResponse({ key: keys[0]!, requestId });
  await finish(upstream, keep, xml);
  await assert.rejects(finish(open(), keep, xml), { code: 'upstream-invalid', message: /used before/ });
  const other = await begin(upstream);
  await assert.rejects(finish(upstream, other.keep, xml), { message: /answers another request/ });
});

test('only a form with one SAMLResponse is an answer', async () => {
  const upstream = open();
  const { keep } = await begin(upstream);
  const url = new URL(acs);
  await assert.rejects(upstream.finish({ method: 'GET', url, form: null, keep }), ProviderError);
  const two = new URLSearchParams('SAMLResponse=YQ&SAMLResponse=YQ');
  await assert.rejects(upstream.finish({ method: 'POST', url, form: two, keep }), ProviderError);
});

test('a step-up asks for a new sign-in, and takes no older one', async () => {
  const upstream = open();
  const step = { maxAgeSeconds: 0, acr: null };
  assert.match((await begin(upstream, step)).request, /ForceAuthn="true"/);
  assert.ok(await signIn(upstream, {}, step));
  const old = signIn(upstream, { authnInstantMs: Date.now() - 600_000 }, step);
  await assert.rejects(old, { code: 'upstream-invalid', message: /AuthnInstant/ });
});

test('a step-up asks for an authentication context, and takes no other', async () => {
  const upstream = open();
  const acr = `${classes}:X509`;
  const step = { maxAgeSeconds: null, acr };
  const { request } = await begin(upstream, step);
  assert.match(request, /Comparison="exact"/);
  assert.ok(request.includes(`>${acr}</saml:AuthnContextClassRef>`) || request.includes(acr));
  assert.equal((await signIn(upstream, { context: acr }, step)).acr, acr);
  await assert.rejects(signIn(upstream, {}, step), { message: /AuthnContextClassRef/ });
});

test('a subject by attribute makes a NameID of each sign-in unimportant; it has one value', async () => {
  const upstream = open({ subject: 'uid' });
  assert.doesNotMatch((await begin(upstream)).request, /nameid-format:persistent/);
  const format = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';
  const by = (...uids: string[]) => signIn(upstream, { format, attributes: attribute('uid', ...uids) });
  assert.equal((await by('u-7')).subject, 'u-7');
  await assert.rejects(by('u-7', 'u-8'), { message: /not one value/ });
  await assert.rejects(by(), { message: /not one value/ });
});

test('a certificate rollover: a key that nobody knows is looked up, but not at every message', async () => {
  const upstream = open();
  await signIn(upstream);
  writeFileSync(file, metadataOf([keys[0]!, keys[1]!]));
  const byNew = () => signIn(upstream, { key: keys[1]! });
  await assert.rejects(byNew(), { message: /signature/ }, 'within 30 seconds of the last look');
  clock.skippedMs += 31_000;
  assert.equal((await byNew()).subject, 'ana-1234');
  assert.equal((await signIn(upstream)).subject, 'ana-1234', 'the old one is good while it is told');
  assert.equal(seen.length, 2);
  writeFileSync(file, metadataOf([keys[1]!]));
  clock.skippedMs += 86_400_001;
  assert.ok(await byNew());
  await assert.rejects(signIn(upstream), { message: /signature/ }, 'after a day it has gone');
});

test('metadata that has ended, or has become another provider’s, signs nobody in', async () => {
  const ended = ` validUntil="${new Date(Date.now() - 1000).toISOString()}"`;
  writeFileSync(file, metadataOf([keys[0]!], { entityAttributes: ended }));
  await assert.rejects(begin(open()), { code: 'upstream-invalid', message: /ended/ });
  writeFileSync(file, metadataOf([keys[0]!]));
  const upstream = open();
  await signIn(upstream);
  writeFileSync(file, metadataOf([keys[1]!], { entity: 'https://other.example.com' }));
  clock.skippedMs += 31_000;
  await assert.rejects(signIn(upstream, { key: keys[1]! }), { message: /signature/ });
  assert.equal((await signIn(upstream)).issuer, 'https://idp.example.com/saml');
  assert.match(told.join(), /another identity provider/);
  clock.skippedMs += 8 * 86_400_000;
  await assert.rejects(begin(upstream), { code: 'upstream-invalid', message: /another identity provider/ });
});

test('a file that cannot be used stops the start; a URL that does not answer yet does not', async () => {
  writeFileSync(file, '<x/>');
  await assert.rejects(open().prepare(), { code: 'upstream-invalid' });
  rmSync(file);
  await assert.rejects(open().prepare(), { code: 'upstream-unreachable', message: /ENOENT/ });
  const elsewhere = open({}, 'http://127.0.0.1:1/metadata');
  await elsewhere.prepare();
  assert.match(told.join(), /cannot be read/);
  await assert.rejects(begin(elsewhere), { code: 'upstream-unreachable' });
});

test('keys that could not be told to the log are not used', async () => {
  const upstream = new SamlUpstream({
    serviceProvider: { entityId: audience, acsUrl: acs },
    key: ours,
    metadata: file,
    attributes: { email: null, groups: null, subject: null },
    clockSkewMs: 0,
    replay: state.replay,
    clock,
    onKeys: () => Promise.reject(new Error('the disk is full')),
    onError: () => undefined,
  });
  await assert.rejects(begin(upstream), /disk is full/);
});

test('a sign-in at another provider than the metadata is of now is not renewed; while there is none, nobody knows', async () => {
  const identity = await signIn(open());
  assert.deepEqual(await open().renew(identity), identity);
  writeFileSync(file, metadataOf([keys[1]!], { entity: 'https://other.example.com' }));
  await assert.rejects(open().renew(identity), { code: 'upstream-denied' });
  rmSync(file);
  assert.deepEqual(await open().renew(identity), identity);
});
