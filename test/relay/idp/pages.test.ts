/** The pages of a device sign-in in a real browser: by keyboard, on a phone, without script, in light and dark. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import * as oidc from 'openid-client';
import { findProgram, missing } from '../../support/programs.ts';
import { client, newKey, poll, startRelay, type TestRelay } from './relay.ts';

const skip = missing('chromium');
const ana = { email: 'ana@example.com', password: 'correct horse battery' };
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const desktop = { viewport: { width: 1280, height: 800 } };

interface Facts {
  readonly contrasts: readonly { readonly what: string; readonly ratio: number; readonly least: number }[];
  readonly unnamed: readonly string[];
  readonly small: readonly string[];
  readonly scrollsSideways: boolean;
  readonly focused: string;
}

const inPage = readFileSync(path.join(import.meta.dirname, 'in-page.js'), 'utf8');
/** In a block, so that it can run again in the same page. */
const factsOf = (page: Page): Promise<Facts> => page.evaluate<Facts>(`{${inPage}} found`);

async function press(page: Page, key: string): Promise<void> {
  await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
}

async function click(page: Page, button: string): Promise<void> {
  await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: button }).click()]);
}

const heading = (page: Page): Promise<string | null> => page.locator('h1').textContent();

describe('in chromium', { skip }, () => {
  let relay: TestRelay;
  let browser: Browser;
  const contexts: BrowserContext[] = [];

  before(async () => {
    relay = await startRelay();
    await relay.provider.accounts.add(ana.email, ['engineering'], ana.password);
    browser = await chromium.launch({
      executablePath: findProgram('chromium')!,
      // Its sandbox refuses root, as which tests run in containers; the pages are our own.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    });
  });
  after(async () => {
    await browser?.close();
    await relay?.close();
  });

  async function open(options: BrowserContextOptions): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext(options);
    contexts.push(context);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(request.url()));
    return { page, complaints };
  }

  async function startTerminal() {
    const device = await client(relay, await newKey());
    const started = await oidc.initiateDeviceAuthorization(device.config, {
      scope: 'openid email groups',
      hoop_host: 'a-rather-long-name.of-a-build-server.internal.example.com',
      hoop_user: 'ana',
    });
    return { device, started };
  }

  for (const [name, options] of [
    ['a phone', phone],
    ['a desktop', desktop],
    ['a desktop without script', { ...desktop, javaScriptEnabled: false }],
  ] as const)
    test(`on ${name}: the whole sign-in by keyboard, in the order of the page, and nothing that the policy refuses`, async () => {
      const { page, complaints } = await open(options);
      const { device, started } = await startTerminal();
      await page.goto(started.verification_uri);
      assert.equal(await heading(page), 'Sign in a terminal');
      await page.keyboard.type(started.user_code.toLowerCase());
      await press(page, 'Enter');
      assert.equal(await heading(page), 'Is this your terminal?');
      const order: string[] = [];
      for (let i = 0; i < 2; i++) {
        await page.keyboard.press('Tab');
        order.push((await factsOf(page)).focused);
      }
      assert.deepEqual(order, ['Yes, continue', 'No, refuse it']);
      await page.keyboard.press('Shift+Tab');
      await press(page, 'Enter');
      assert.equal(await heading(page), 'Sign in');
      await page.keyboard.type(ana.email);
      await page.keyboard.press('Tab');
      await page.keyboard.type(ana.password);
      await press(page, 'Enter');
      assert.equal(await heading(page), 'Signed in');
      assert.equal(
        await page.getByRole('status').textContent(),
        'Your terminal is signed in. You can close this page.',
      );
      assert.ok((await poll(device, started)).id_token);
      assert.deepEqual(complaints, []);
      assert.equal(await page.locator('script, style, [style]').count(), 0);
      await page.context().close();
    });

  /** Every page and state of a sign-in, one after another. */
  async function walk(
    options: BrowserContextOptions,
    look: (page: Page, state: string) => Promise<void>,
  ): Promise<void> {
    const { page } = await open(options);
    const { started } = await startTerminal();
    await page.goto(started.verification_uri);
    await look(page, 'code');
    await page.getByLabel('Code shown in the terminal').fill('BBBB-BBBB');
    await click(page, 'Continue');
    await look(page, 'wrong code');
    await page.getByLabel('Code shown in the terminal').fill(started.user_code);
    await click(page, 'Continue');
    await look(page, 'confirmation');
    await click(page, 'Yes, continue');
    await look(page, 'password');
    await page.getByLabel('E-mail').fill(ana.email);
    await page.getByLabel('Password').fill('wrong');
    await click(page, 'Sign in');
    await look(page, 'wrong password');
    await page.getByLabel('Password').fill(ana.password);
    await click(page, 'Sign in');
    await look(page, 'done');
    await page.goto(`${relay.provider.issuer}/nothing`);
    await look(page, 'no such page');
    await page.context().close();
  }

  test('every state has one heading, a label for each field, and says what is wrong where a screen reader hears it', async () => {
    await walk(desktop, async (page, state) => {
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, state);
      assert.equal(await page.getByRole('main').count(), 1, state);
      const { unnamed, focused } = await factsOf(page);
      assert.deepEqual(unnamed, [], state);
      const wrong = /wrong|no such/.test(state);
      assert.equal(await page.getByRole('alert').count(), wrong ? 1 : 0, state);
      assert.equal((await page.title()).startsWith('Error: '), wrong, state);
      const field = page.locator('input[aria-invalid]').first();
      if (state === 'wrong code')
        assert.match((await field.getAttribute('aria-describedby'))!, /^problem hint$/);
      if (state === 'wrong password') assert.equal(focused, 'password');
    });
  });

  for (const colorScheme of ['light', 'dark'] as const)
    test(`in ${colorScheme}: every text has a contrast of 4.5, every edge of a field 3, and 320 pixels are wide enough`, async () => {
      const narrow = { viewport: { width: 320, height: 568 }, colorScheme };
      await walk(narrow, async (page, state) => {
        const { contrasts, small, scrollsSideways } = await factsOf(page);
        assert.ok(contrasts.length > 2, state);
        for (const { what, ratio, least } of contrasts)
          assert.ok(ratio >= least, `${state}: ${what}: ${ratio.toFixed(2)}`);
        assert.equal(scrollsSideways, false, state);
        assert.deepEqual(small, [], `${state}: too small for a thumb`);
      });
    });

  test('back, reload and a second tab: nothing is confirmed twice, and what has expired says so', async () => {
    const { page } = await open(desktop);
    const { device, started } = await startTerminal();
    const tab = await page.context().newPage();
    for (const each of [page, tab]) {
      await each.goto(started.verification_uri_complete!);
      await click(each, 'Continue');
      await each.reload();
      assert.equal(await heading(each), 'Is this your terminal?');
    }
    // Of two tabs the later one counts.
    await click(tab, 'No, refuse it');
    assert.match((await tab.getByRole('alert').textContent())!, /Refused: the terminal was not signed in/);
    await click(page, 'Yes, continue');
    assert.match((await page.getByRole('alert').textContent())!, /This page has expired/);
    // The confirmation is not kept: the browser would have to send the code again, and asks the person first.
    await assert.rejects(tab.goBack(), /ERR_CACHE_MISS/);
    await assert.rejects(poll(device, started), { error: 'access_denied' });
    await page.context().close();
  });
});
