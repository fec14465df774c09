/** `hoop login` by the real binary through LemonLDAP::NG as a SAML identity provider, whose answers are made by Lasso. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { hoop, stopAll, type Running } from '../../src/cli/demo/hoop.ts';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { readEntries } from '../../src/evidence/read/entries.ts';
import {
  generateServiceProviderKey,
  parseServiceProviderKey,
} from '../../src/relay/idp/upstream/saml/service-provider.ts';
import { eventually } from '../support/eventually.ts';
import { samlProvider, startLemonldap, type SamlRelyingParty } from '../support/lemonldap.ts';
import { missing } from '../support/programs.ts';
import { verifyInstallation } from '../support/relay.ts';
import { WebBrowser, type WebPage } from '../support/web-browser.ts';

const skip = missing('lemonldapSaml');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-lemonldap-saml-'));
/** Another party at the provider, which gave the relay's address as its own. */
const another = 'https://another.example.com/saml';
let installation: Installation;
let portal = '';
let restart: (parties: Readonly<Record<string, SamlRelyingParty>>) => Promise<void>;

before(async () => {
  if (skip !== false) return;
  portal = `http://127.0.0.1:${await freePort()}`;
  const key = parseServiceProviderKey(await generateServiceProviderKey())!;
  let server: Running | null = null;
  restart = async (parties) => {
    await server?.stop();
    server = await startLemonldap(path.join(directory, 'lemonldap'), portal, samlProvider(key, parties));
  };
  installation = await Installation.create({
    directory,
    targets: {},
    policy: `permit (principal in Group::"timelords", action == Action::"readEvidence", resource);`,
    config: {
      identity: {
        upstream: {
          kind: 'saml',
          metadata: `${portal}/saml/metadata`,
          attributes: { email: 'mail', groups: 'groups' },
        },
      },
    },
  });
  await restart({});
  await installation.start();
});
after(async () => {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
});

const computerOf = (name: string): Person =>
  new Person(name, 'unused', path.join(directory, name), installation);

/** `hoop login`, up to the provider's answer to the request: its form, or where the browser stops. */
async function startLogin(person: Person, browser: WebBrowser, ...flags: readonly string[]) {
  const login = person.start('login', ...flags, '--no-browser');
  const [, uri = '', code = ''] = await login.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  const confirm = await browser.submit(await browser.open(uri), { user_code: code });
  return { login, page: await browser.submit(confirm, { confirm: 'yes' }) };
}

const signIn = (browser: WebBrowser, form: WebPage): Promise<WebPage> =>
  browser.submit(form, { user: 'dwho', password: 'dwho' });

const isForm = ({ html }: WebPage): boolean => html.includes('name="password"');

/** What the script of the provider's page does. */
const deliver = (browser: WebBrowser, page: WebPage): Promise<WebPage> =>
  browser.submit(page, { SAMLResponse: responseOf(page) });

const responseOf = ({ html }: WebPage): string =>
  /name="SAMLResponse"\s+value="([^"]*)"/.exec(html)?.[1] ?? assert.fail(`no answer: ${html}`);

async function whoami(person: Person) {
  const shown = await person.hoop('whoami', '--json');
  assert.equal(shown.code, 0, shown.output);
  return JSON.parse(shown.stdout);
}

async function relayMetadata(): Promise<string> {
  const args = ['relay', 'saml-metadata', '--config', installation.configFile];
  const described = await hoop(args, { env: installation.env });
  assert.equal(described.code, 0, described.stderr);
  return described.stdout;
}

test('who is not registered there gets no answer', { skip }, async () => {
  const browser = new WebBrowser();
  const { login, page } = await startLogin(computerOf('early'), browser, installation.url);
  const refused = await signIn(browser, page);
  assert.equal(refused.url.origin, portal);
  assert.match(refused.html, /trmsg="107"/, 'unknown partner');
  assert.doesNotMatch(refused.html, /SAMLResponse/);
  await login.stop();
});

test(
  'registered by its metadata: signed in, the same person again, and fresh when asked',
  { skip },
  async () => {
    const metadata = await relayMetadata();
    const othersMetadata = metadata.replace(/entityID="[^"]*"/, `entityID="${another}"`);
    await restart({
      hoop: { metadata },
      another: { metadata: othersMetadata, options: { CheckSSOMessageSignature: 0 } },
    });
    const dwho = computerOf('dwho');
    const browser = new WebBrowser();
    const first = await startLogin(dwho, browser, installation.url);
    assert.ok(isForm(first.page) && first.page.url.origin === portal);
    const done = await deliver(browser, await signIn(browser, first.page));
    assert.match(done.html, /Your terminal is signed in/, done.html + installation.relay.output);
    assert.equal(await first.login.ended, 0, first.login.output);

    const { principal, authentication } = await whoami(dwho);
    assert.equal(principal.issuer, `${portal}/saml/metadata`);
    assert.match(principal.subject, /^_[0-9A-F]{32}$/, 'made for this relay alone');
    assert.equal(principal.email, 'dwho@badwolf.org');
    assert.deepEqual(principal.groups, ['staff', 'timelords', 'users']);

    // Times there are whole seconds, and a sign-in of this second is fresh.
    const nextSecondMs = Date.parse(authentication.time) + 1000;
    await eventually('the sign-in is a second old', () => Date.now() >= nextSecondMs);
    const fresh = await startLogin(dwho, browser, '--step-up');
    assert.match(fresh.page.html, /askToRenew/);
    const form = await browser.submit(fresh.page);
    assert.ok(isForm(form), form.html);
    await deliver(browser, await signIn(browser, form));
    assert.equal(await fresh.login.ended, 0, fresh.login.output);
    const stepped = await whoami(dwho);
    assert.deepEqual(stepped.principal, principal);
    assert.ok(stepped.authentication.time > authentication.time);
  },
);

test(
  'what it signed for another party is refused here, although it answers this very sign-in',
  { skip },
  async () => {
    const browser = new WebBrowser(({ origin }) => origin === portal);
    const { login, page } = await startLogin(computerOf('eve'), browser, installation.url);
    // Who may ask there in the other's name changes the request on its way.
    const asked = page.url.searchParams;
    const request = inflateRawSync(Buffer.from(asked.get('SAMLRequest') ?? '', 'base64')).toString();
    const changed = request.replace(/(<saml:Issuer[^>]*>)[^<]*/, `$1${another}`);
    const url = new URL(page.url);
    url.search = new URLSearchParams({
      SAMLRequest: deflateRawSync(changed).toString('base64'),
      RelayState: asked.get('RelayState') ?? '',
    }).toString();
    const answer = await signIn(browser, await browser.open(url));
    const xml = Buffer.from(responseOf(answer), 'base64').toString();
    assert.ok(xml.includes(`<saml:Audience>${another}</saml:Audience>`), xml);
    const refused = await deliver(browser, answer);
    assert.equal(refused.status, 400);
    assert.match(refused.html, /signature or a condition does not hold/);
    await installation.relay.says(/upstream-invalid.*audience/i);
    await login.stop();
  },
);

interface Told {
  readonly verified: boolean;
  readonly findings: readonly { readonly code: string; readonly file: string | null }[];
  readonly attribution: { readonly acts: readonly unknown[] };
}

/** By somebody with the files alone, when the relay has published all that it did. */
const verifiedWhole = (): Promise<Told> =>
  eventually('all is published', async () => {
    const finished = await verifyInstallation(installation, '--attribution', '--json');
    assert.equal(finished.code, 0, finished.output);
    const told: Told = JSON.parse(finished.stdout);
    return told.findings.every(({ code }) => code !== 'journal-unpublished') && told;
  });

test(
  'the record has its key; who verifies hears that the signature of a sign-in is kept and was not read',
  { skip },
  async () => {
    const searched = await computerOf('dwho').hoop('audit', 'search', 'nothing');
    assert.match(searched.output, /0 lines/);
    const keys: unknown[] = [];
    for await (const { entry } of readEntries(installation.evidence))
      if (entry.kind === 'issuer.keys' && entry.issuer === `${portal}/saml/metadata`) keys.push(entry.jwks);
    const metadata = await (await fetch(`${portal}/saml/metadata`)).text();
    const certificate = /X509Certificate>([^<]+)</.exec(metadata)?.[1]?.replaceAll(/\s/g, '');
    assert.equal(keys.length, 1);
    assert.deepEqual((keys[0] as { keys: { x5c: string[] }[] }).keys[0]?.x5c, [certificate]);

    const told = await verifiedWhole();
    assert.equal(told.verified, true);
    const found = told.findings.map(({ code, file }) => [code, path.extname(file ?? '')]);
    assert.deepEqual(found, [['attribution-not-checked', '.xml']]);
    const read = { action: 'evidence.search', issuer: 0, relay: 0, unchecked: 1, broken: 0 };
    assert.deepEqual(told.attribution.acts, [read]);
  },
);
