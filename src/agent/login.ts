/**
 * Signing in: the relay says which provider to ask, the person signs in there with any browser (RFC 8628), and the
 * relay answers with a token of its own, bound to a key pair made here.
 */
import { hostname, userInfo } from 'node:os';
import { generateLoginKey, importLoginKey } from '../identity/login-key.ts';
import { LoginAnswer } from '../wire/api.ts';
import type { Discovery } from '../wire/api.ts';
import { endOfRenewal } from './credentials.ts';
import type { Credential, CredentialStore } from './credentials.ts';
import { AgentError } from './error.ts';
import { HttpClient } from './http.ts';
import { Issuer } from './issuer.ts';
import type { DevicePrompt, Terminal } from './issuer.ts';
import type { Profile } from './profiles.ts';
import { discover, RelayClient } from './relay-client.ts';
import type { Settings, SettingsFile } from './settings.ts';
import { withAnswer } from './sign-in.ts';

export interface LoginOptions {
  /** It may be a new one. */
  readonly profile: Profile;
  readonly caFile: string | null;
  readonly store: CredentialStore;
  readonly settings: SettingsFile;
  /** Takes a log key that differs from the one seen before. */
  readonly acceptNewLogKey: boolean;
  /** `SignIn.exclusively`: a renewal under way elsewhere must not write the old sign-in over the new one. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  prompt(prompt: DevicePrompt): void;
  readonly signal: AbortSignal;
}

/**
 * The new sign-in, stored; its profile becomes the one of commands that name none.
 * @throws AgentError, IdentityError, RelayProblem, KeychainError
 */
export async function login(options: LoginOptions): Promise<Credential> {
  const { profile, caFile, store, settings } = options;
  const { relay } = profile;
  await store.probe();
  const http = await HttpClient.open(relay, caFile);
  try {
    const discovery = await discover(relay, http);
    refuseChangedLog(await settings.read(), discovery, options.acceptNewLogKey);
    const secret = await generateLoginKey();
    const key = await importLoginKey(secret);
    const { issuer, clientId } = discovery;
    const tokens = await signInAtIssuer(options, discovery, key);
    const client = new RelayClient(relay, http, { caller: async () => ({ key, accessToken: null }) });
    const answer = await client.post('/v1/login', { idToken: tokens.idToken }, LoginAnswer);
    const { refreshToken, renewableSeconds } = tokens;
    const renewableUntilMs = endOfRenewal(renewableSeconds);
    const base = { v: 1 as const, issuer, clientId, key: secret, refreshToken, renewableUntilMs };
    const credential = withAnswer(base, answer);
    await options.exclusively(() => store.save(profile, credential));
    await settings.change((content) => {
      const logs = { ...content.relays[relay]?.logs, [discovery.log.origin]: discovery.log.vkey };
      content.relays[relay] = { caFile, logs };
      content.profiles[profile.name] = { relay };
      content.current = profile.name;
    });
    return credential;
  } finally {
    await http.close();
  }
}

async function signInAtIssuer(
  { caFile, prompt, signal }: LoginOptions,
  { relay, issuer, clientId, scopes }: Discovery,
  key: Awaited<ReturnType<typeof importLoginKey>>,
) {
  const http = await HttpClient.open(issuer, caFile);
  try {
    const provider = await Issuer.discover({ issuer, clientId }, key, http);
    const terminal = issuer.startsWith(`${relay}/`) ? thisTerminal() : null;
    return await provider.deviceGrant({ scopes, terminal }, prompt, signal);
  } finally {
    await http.close();
  }
}

function thisTerminal(): Terminal {
  try {
    return { host: hostname(), user: userInfo().username };
  } catch {
    // A container's user need not be in the password database.
    return { host: hostname(), user: '' };
  }
}

/** The log's key is what `hoop audit verify` trusts: a relay that changes it must be looked at by a person. */
function refuseChangedLog(settings: Settings, { relay, log }: Discovery, accept: boolean): void {
  const known = settings.relays[relay]?.logs[log.origin];
  if (known === undefined || known === log.vkey || accept) return;
  throw new AgentError(
    'log-key-changed',
    `${relay} signs its log with another key than at your last sign-in`,
    {
      hint: 'ask who runs it whether that is meant; then: hoop login --accept-new-log-key',
    },
  );
}
