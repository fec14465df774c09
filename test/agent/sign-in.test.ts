/** Signing in and silent renewal, against a scripted provider that is strict about rotation. */
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { signInEndMs } from '../../src/agent/credentials.ts';
import { openAccount } from '../../src/agent/account.ts';
import { directories } from '../../src/agent/directories.ts';
import type { Account } from '../../src/agent/account.ts';
import { login } from '../../src/agent/login.ts';
import { ScriptedRelay } from './scripted-relay.ts';

const run = promisify(execFile);
let directory = '';
let relay: ScriptedRelay;
let environment: NodeJS.ProcessEnv = {};
let count = 0;
const accounts: Account[] = [];

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hoop-signin-'));
});
beforeEach(async () => {
  relay?.stop();
  relay = await ScriptedRelay.start();
  environment = { XDG_CONFIG_HOME: path.join(directory, String(count++)), HOOP_KEYCHAIN: 'file' };
});
after(async () => {
  relay.stop();
  for (const account of accounts) await account.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(name: string | null = relay.url): Promise<Account> {
  const account = await openAccount({
    profile: null,
    relay: name,
    caFile: null,
    warn: () => undefined,
    environment,
  });
  accounts.push(account);
  return account;
}

async function signIn(
  more: { acceptNewLogKey?: boolean; signal?: AbortSignal; onPrompt?: (prompt: unknown) => void } = {},
) {
  const { profile, caFile, store, settings } = await open();
  return login({
    profile,
    caFile,
    store,
    settings,
    directory: directories(environment).config,
    acceptNewLogKey: more.acceptNewLogKey ?? false,
    prompt: (prompt) => more.onPrompt?.(prompt),
    signal: more.signal ?? new AbortController().signal,
  });
}

test('a sign-in: prompt, PKCE where offered, stored; the relay becomes the default one', async () => {
  const prompts: unknown[] = [];
  const credential = await signIn({ onPrompt: (prompt) => prompts.push(prompt) });
  assert.deepEqual(prompts, [
    { url: `${relay.url}/idp/page`, code: 'WDJB-MJHT', completeUrl: null, expiresInSeconds: 60 },
  ]);
  const [device, token] = relay.forms;
  assert.equal(device?.['scope'], 'openid offline_access');
  assert.equal(device?.['code_challenge_method'], 'S256');
  assert.ok((token?.['code_verifier']?.length ?? 0) >= 43);
  assert.equal(credential.principal.email, 'ana@example.com');
  const account = await open(null);
  assert.equal(account.relay, relay.url);
  assert.equal((await account.signIn.caller(null)).accessToken, 'access-1');
  assert.equal(relay.refreshes, 0);
  assert.deepEqual((await account.settings.read()).relays[relay.url]?.logs, {
    'relay.example/log': relay.vkey,
  });
});

test('where the provider binds keys (OpenID Connect Key Binding), the ID token names ours, renewed ones too', async () => {
  relay.keyBinding = true;
  relay.lifetimeSeconds = 0.001;
  await signIn();
  const [device] = relay.forms;
  const account = await open(null);
  const { jkt, publicJwk } = await account.signIn.key();
  assert.equal(device?.['scope'], 'openid offline_access bound_key');
  assert.equal(device?.['dpop_jkt'], jkt);
  await account.signIn.caller(null);
  assert.equal(relay.idTokens.length, 2);
  for (const token of relay.idTokens) {
    assert.equal(decodeProtectedHeader(token).typ, 'dpop+id_token');
    assert.deepEqual(decodeJwt(token)['cnf'], { jwk: publicJwk });
  }
});

test('where it does not, nothing is asked for', async () => {
  await signIn();
  assert.equal(relay.forms[0]?.['dpop_jkt'], undefined);
  assert.equal(decodeJwt(relay.idTokens[0]!)['cnf'], undefined);
});

const ends = async (renewable: Record<string, unknown>): Promise<number | null> => {
  relay.renewable = renewable;
  const endMs = signInEndMs(await signIn());
  return endMs === null ? null : Math.round((endMs - Date.now()) / 60_000);
};

test('the end of the sign-in is what the provider says; who says nothing says nothing', async () => {
  assert.equal(await ends({ refresh_token_expires_in: 43_200 }), 720);
  assert.equal(await ends({ refresh_expires_in: 1800 }), 30);
  assert.equal(await ends({ refresh_expires_in: 0 }), null);
  assert.equal(await ends({ refresh_token_expires_in: 'soon' }), null);
  assert.equal(await ends({}), null);
});

test('no file shows a token or a key', async () => {
  const { refreshToken, accessToken, key } = await signIn();
  const place = path.join(environment['XDG_CONFIG_HOME'] ?? '', 'hoop');
  for (const file of await readdir(place)) {
    const content = await readFile(path.join(place, file), 'latin1');
    for (const secret of [refreshToken, accessToken, key['d']])
      assert.ok(!content.includes(secret ?? '?'), file);
  }
});

test('the person refuses, or never enters the code', async () => {
  relay.deviceError = 'access_denied';
  await assert.rejects(signIn(), { code: 'device-login-denied' });
  relay.deviceError = 'expired_token';
  await assert.rejects(signIn(), { code: 'device-login-expired' });
  relay.deviceError = 'a token=secret\u001b[2J';
  await assert.rejects(signIn(), (error) => error instanceof Error && !error.message.includes('secret'));
  await assert.rejects((await open()).signIn.credential(), { code: 'not-signed-in' });
});

test('Ctrl-C while the code is pending ends it at once', async () => {
  relay.approved = false;
  const stop = new AbortController();
  const onPrompt = () => stop.abort(new Error('stopped'));
  await assert.rejects(signIn({ signal: stop.signal, onPrompt }), { message: 'stopped' });
});

test('a log key that changed is refused until a person accepts it', async () => {
  await signIn();
  relay.vkey = 'relay.example/log+11111111+BB==';
  await assert.rejects(signIn(), { code: 'log-key-changed' });
  await signIn({ acceptNewLogKey: true });
  const { relays } = await (await open()).settings.read();
  assert.equal(relays[relay.url]?.logs['relay.example/log'], relay.vkey);
});

test('a token near its end is renewed; calls at the same time share one renewal', async () => {
  relay.lifetimeSeconds = 0.001;
  await signIn();
  relay.lifetimeSeconds = 600;
  const { signIn: signedIn } = await open();
  const callers = await Promise.all(Array.from({ length: 10 }, () => signedIn.caller(null)));
  assert.deepEqual([...new Set(callers.map((caller) => caller.accessToken))], ['access-2']);
  assert.equal(relay.refreshes, 1);
});

test('five processes that find the same stale token rotate it once: no reuse, the grant lives', async () => {
  relay.lifetimeSeconds = 0.001;
  await signIn();
  relay.lifetimeSeconds = 600;
  const module = path.resolve(import.meta.dirname, '../../src/agent/account.ts');
  const script = `import { openAccount } from ${JSON.stringify(module)};
    const account = await openAccount({ profile: null, relay: null, caFile: null, warn() {} });
    process.stdout.write((await account.signIn.caller(null)).accessToken);
    await account.close();`;
  const env = { PATH: process.env['PATH'], ...environment };
  const arguments_ = ['--input-type=module-typescript', '-e', script];
  const found = await Promise.all(
    Array.from({ length: 5 }, () => run(process.execPath, arguments_, { env })),
  );
  assert.deepEqual([...new Set(found.map(({ stdout }) => stdout))], ['access-2']);
  assert.equal(relay.refreshes, 1);
  assert.equal(relay.revoked, false);
});

test('the relay fails after the rotation: the new refresh token is kept, and the next try works', async () => {
  relay.lifetimeSeconds = 0.001;
  await signIn();
  relay.loginStatus = 503;
  await assert.rejects((await open()).signIn.caller(null), { status: 503 });
  relay.loginStatus = 200;
  relay.lifetimeSeconds = 600;
  assert.ok((await (await open()).signIn.caller(null)).accessToken !== null);
  assert.equal(relay.refreshes, 2);
  assert.equal(relay.revoked, false);
});

test('a grant that ended, or a login that the relay ended: sign in again', async () => {
  relay.lifetimeSeconds = 0.001;
  await signIn();
  relay.loginStatus = 401;
  await assert.rejects((await open()).signIn.caller(null), { code: 'login-expired' });
  relay.loginStatus = 200;
  relay.revoked = true;
  await assert.rejects((await open()).signIn.caller(null), (error) => {
    assert.ok(error instanceof Error && 'code' in error && 'hint' in error);
    assert.equal(error.code, 'login-expired');
    assert.match(String(error.hint), /hoop login/);
    return true;
  });
});

test('nobody answers at the provider: unreachable, and the sign-in is kept', async () => {
  relay.lifetimeSeconds = 0.001;
  await signIn();
  const account = await open();
  relay.stop();
  await assert.rejects(account.signIn.caller(null), { code: 'issuer-unreachable' });
  assert.ok((await account.store.load(account.profile)) !== null);
});
