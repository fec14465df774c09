/** `hoop login` by the real binary through a real SAML identity provider: Debian's SimpleSAMLphp. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hoop, stopAll } from '../../src/cli/demo/hoop.ts';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import type { EntryOf } from '../../src/evidence/entry.ts';
import { readEntries } from '../../src/evidence/read/entries.ts';
import { missing } from '../support/programs.ts';
import { verifyInstallation } from '../support/relay.ts';
import { people, sessionSeconds, startSimpleSamlPhp, type SimpleSamlPhp } from '../support/simplesamlphp.ts';
import { WebBrowser, type WebPage } from '../support/web-browser.ts';

const skip = missing('simplesamlphp');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-saml-'));
let idp: SimpleSamlPhp;
let installation: Installation;

before(async () => {
  if (skip !== false) return;
  idp = await startSimpleSamlPhp(path.join(directory, 'idp'));
  installation = await Installation.create({
    directory,
    targets: {},
    policy: `permit (principal in Group::"engineering", action, resource);`,
    config: {
      identity: {
        upstream: {
          kind: 'saml',
          metadata: idp.metadataUrl,
          attributes: { email: 'mail', groups: 'groups' },
        },
      },
    },
  });
  const described = await hoop(['relay', 'saml-metadata', '--json', '--config', installation.configFile], {
    env: installation.env,
  });
  assert.equal(described.code, 0, described.stderr);
  idp.trust(JSON.parse(described.stdout));
  await installation.start();
});

after(async () => {
  await stopAll();
  await idp?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const computerOf = (name: string): Person =>
  new Person(name, 'unused', path.join(directory, name), installation);

/** `hoop login`, up to the page of the provider. */
async function startLogin(person: Person, browser: WebBrowser, ...flags: string[]) {
  const login = person.start('login', installation.url, '--no-browser', ...flags);
  const [, uri = '', code = ''] = await login.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  const confirm = await browser.submit(await browser.open(uri), { user_code: code });
  return { login, page: await browser.submit(confirm, { confirm: 'yes' }) };
}

/** Up to the provider's page that would post its answer to the relay by itself. */
async function answered(person: Person, who: keyof typeof people, browser: WebBrowser) {
  const { login, page } = await startLogin(person, browser);
  assert.equal(page.url.origin, new URL(idp.entityId).origin);
  const { name: username, password } = people[who];
  return { login, page: await browser.submit(page, { username, password }) };
}

async function logIn(person: Person, who: keyof typeof people): Promise<void> {
  const browser = new WebBrowser();
  const { login, page } = await answered(person, who, browser);
  const done = await browser.submit(page, { SAMLResponse: fieldOf(page, 'SAMLResponse') });
  assert.match(done.html, /Your terminal is signed in/);
  assert.equal(await login.ended, 0, login.output);
}

const fieldOf = ({ html }: WebPage, name: string): string =>
  new RegExp(`name="${name}" value="([^"]*)"`).exec(html)?.[1] ?? assert.fail(`no ${name}: ${html}`);

test('a person signs in at the provider, and is who they are there', { skip }, async () => {
  const ana = computerOf('ana');
  await logIn(ana, 'ana');
  const { principal } = JSON.parse((await ana.hoop('whoami', '--json')).stdout);
  assert.equal(principal.issuer, idp.entityId);
  // A pseudonym of the provider's making, for this relay alone.
  assert.match(principal.subject, /^[0-9a-f]{40}$/);
  assert.equal(principal.email, 'ana@example.com');
  assert.deepEqual(principal.groups.toSorted(), ['dba', 'engineering']);
  await logIn(computerOf('ana-again'), 'ana');
  const again = JSON.parse((await computerOf('ana-again').hoop('whoami', '--json')).stdout);
  assert.deepEqual(again.principal, principal);
});

test('a sign-in is over when the session there is, which is before the token would be', { skip }, () => {
  const state = new DatabaseSync(path.join(directory, 'relay', 'state.db'), { readOnly: true });
  try {
    const logins = state.prepare('select created_at as began, valid_until as ends from logins').all();
    const signIns = state
      .prepare('select created_at as began, expires_at as ends from upstream_sign_ins')
      .all();
    assert.ok(logins.length > 0 && signIns.length > 0);
    for (const { began, ends } of [...logins, ...signIns])
      assert.ok(Number(ends) > Number(began) && Number(ends) - Number(began) <= sessionSeconds * 1000);
  } finally {
    state.close();
  }
});

test('who has no group there has none here', { skip }, async () => {
  const bo = computerOf('bo');
  await logIn(bo, 'bo');
  const { principal } = JSON.parse((await bo.hoop('whoami', '--json')).stdout);
  assert.deepEqual([principal.email, principal.groups], ['bo@example.com', []]);
});

test('an answer works once, and only in the browser that asked', { skip }, async () => {
  const browser = new WebBrowser();
  const { login, page } = await answered(computerOf('cas'), 'ana', browser);
  const values = { SAMLResponse: fieldOf(page, 'SAMLResponse') };
  const thief = await new WebBrowser().submit(page, values);
  assert.equal(thief.status, 400);
  assert.doesNotMatch(thief.html, /signed in\./);
  const late = await browser.submit(page, values);
  assert.equal(late.status, 400, 'used up by the thief, and worth nothing to either');
  await login.stop();
});

test(
  'an answer to another sign-in is refused: of the same browser, and of one that nobody began',
  { skip },
  async () => {
    const [one, two] = [new WebBrowser(), new WebBrowser()];
    const first = await answered(computerOf('dan'), 'ana', one);
    const second = await answered(computerOf('eva'), 'bo', two);
    const swapped = await one.submit(first.page, { SAMLResponse: fieldOf(second.page, 'SAMLResponse') });
    assert.equal(swapped.status, 400);
    assert.match(swapped.html, /answers another request/);
    const form = new URLSearchParams({ SAMLResponse: fieldOf(second.page, 'SAMLResponse') });
    const unsolicited = await two.open(`${installation.url}/idp/saml/acs`, form);
    assert.equal(unsolicited.status, 400);
    const done = await two.submit(second.page, { SAMLResponse: fieldOf(second.page, 'SAMLResponse') });
    assert.match(done.html, /Your terminal is signed in/);
    await first.login.stop();
  },
);

test(
  'an answer that was changed on its way is refused, and the operator’s log says why',
  { skip },
  async () => {
    const browser = new WebBrowser();
    const { login, page } = await answered(computerOf('fay'), 'bo', browser);
    const xml = Buffer.from(fieldOf(page, 'SAMLResponse'), 'base64').toString('utf8');
    assert.ok(xml.includes('bo@example.com'));
    const forged = Buffer.from(xml.replace('bo@example.com', 'ana@example.com')).toString('base64');
    const refused = await browser.submit(page, { SAMLResponse: forged });
    assert.equal(refused.status, 400);
    assert.match(refused.html, /signature or a condition does not hold/);
    assert.match(installation.relay.output, /upstream-invalid/);
    assert.doesNotMatch(installation.relay.output, /ana@example|bo@example/);
    await login.stop();
  },
);

test('the record has the keys that the provider signed with, and verifies', { skip }, async () => {
  const keys: unknown[] = [];
  const logins: EntryOf<'login'>[] = [];
  for await (const { entry } of readEntries(installation.evidence)) {
    if (entry.kind === 'issuer.keys' && entry.issuer === idp.entityId) keys.push(entry.jwks);
    if (entry.kind === 'login') logins.push(entry);
  }
  const certificate = /X509Certificate>([^<]+)</.exec(await (await fetch(idp.metadataUrl)).text())?.[1];
  assert.deepEqual((keys[0] as { keys: { x5c: string[] }[] }).keys[0]?.x5c, [certificate]);
  assert.deepEqual(logins[0]?.broker, { issuer: `${installation.url}/idp` });
  assert.equal(logins[0]?.actor.issuer, idp.entityId);
  const verified = await verifyInstallation(installation);
  assert.equal(verified.code, 0, verified.output);
});

/** What `hoop relay check` says of the provider. */
const checked = async (): Promise<unknown[]> => {
  const args = ['relay', 'check', '--connect', '--json', '--config', installation.configFile];
  const { checks } = JSON.parse((await hoop(args, { env: installation.env })).stdout);
  const { state, message } = checks.find(({ subject }: { subject: string }) => subject === 'saml provider');
  return [state, message];
};

test(
  'hoop relay check says of the provider’s certificates, also of two while it changes its key',
  { skip },
  async () => {
    assert.deepEqual(await checked(), ['ok', `${idp.entityId}, 1 certificate`]);
    await idp.rollOver();
    assert.deepEqual(await checked(), ['ok', `${idp.entityId}, 2 certificates`]);
  },
);
