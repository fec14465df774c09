/**
 * Signing in: the relay says which provider to ask, the person signs in there with any browser (RFC 8628), and the
 * relay answers with a token of its own, bound to a key pair made here.
 */
import { hostname, userInfo } from 'node:os';
import { EvidenceError } from '../evidence/error.ts';
import { followHandovers, maxHandoverBytes } from '../evidence/log/handover.ts';
import { NoteVerifier } from '../evidence/log/note.ts';
import { generateLoginKey, importLoginKey } from '../identity/login-key.ts';
import type { LoginKey } from '../identity/login-key.ts';
import { LoginAnswer } from '../wire/api.ts';
import type { Discovery } from '../wire/api.ts';
import type { Account } from './account.ts';
import { endOfRenewal } from './credentials.ts';
import type { Credential, CredentialStore } from './credentials.ts';
import { AgentError } from './error.ts';
import { HttpClient, readText } from './http.ts';
import { Issuer } from './issuer.ts';
import type { DevicePrompt, DeviceWish, IssuerClient, IssuerTokens, Terminal } from './issuer.ts';
import type { Profile } from './profiles.ts';
import { discover, RelayClient } from './relay-client.ts';
import type { Settings, SettingsFile } from './settings.ts';
import { SignIn, withAnswer, withRenewalLock } from './sign-in.ts';

export interface LoginOptions {
  /** It may be a new one. */
  readonly profile: Profile;
  readonly caFile: string | null;
  readonly store: CredentialStore;
  readonly settings: SettingsFile;
  /** Takes a log key that differs from the one seen before. */
  readonly acceptNewLogKey: boolean;
  /** `Directories.config`. */
  readonly directory: string;
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
    await refuseChangedLog(await settings.read(), discovery, { http, accept: options.acceptNewLogKey });
    const secret = await generateLoginKey();
    const key = await importLoginKey(secret);
    const tokens = await signInAtIssuer({ ...options, stepUp: null }, discovery, key);
    const client = new RelayClient(relay, http, { caller: async () => ({ key, accessToken: null }) });
    const answer = await client.post('/v1/login', { idToken: tokens.idToken }, LoginAnswer);
    const { refreshToken, renewableSeconds } = tokens;
    const renewableUntilMs = endOfRenewal(renewableSeconds);
    const base = { v: 1 as const, ...clientOf(discovery), key: secret, refreshToken, renewableUntilMs };
    const credential = withAnswer(base, answer);
    // A renewal under way elsewhere must not write the old sign-in over the new one.
    await withRenewalLock(options.directory, profile, () => store.save(profile, credential));
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

/** Where the person signs in, and as which client. */
const clientOf = ({ issuer, clientId, clientSecret }: Discovery): IssuerClient => ({
  issuer,
  clientId,
  clientSecret: clientSecret ?? null,
});

interface SignInAtIssuer extends Omit<DeviceWish, 'scopes' | 'terminal'> {
  readonly caFile: string | null;
}

async function signInAtIssuer(
  { caFile, stepUp, prompt, signal }: SignInAtIssuer,
  discovery: Discovery,
  key: LoginKey,
): Promise<IssuerTokens> {
  const { relay, issuer, scopes } = discovery;
  const http = await HttpClient.open(issuer, caFile);
  try {
    const provider = await Issuer.discover(clientOf(discovery), key, http);
    const terminal = issuer.startsWith(`${relay}/`) ? thisTerminal() : null;
    return await provider.deviceGrant({ scopes, terminal, stepUp, prompt, signal });
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

/**
 * The same person authenticates once more, freshly, for a sign-in that goes on: same id, same key, same sessions.
 * @throws as `login`; RelayProblem `login-ended` when somebody else signed in
 */
export async function signInAgain(
  { relay, client, signIn, caFile }: Pick<Account, 'relay' | 'client' | 'signIn' | 'caFile'>,
  wish: Omit<DeviceWish, 'scopes' | 'terminal'>,
): Promise<Credential> {
  if (!(signIn instanceof SignIn))
    throw new AgentError('not-signed-in', 'a program has no fresh sign-in to bring', {
      hint: 'the policy has to name programs (docs/machines.md)',
    });
  const discovery = await discover(relay, client.http);
  const tokens = await signInAtIssuer({ ...wish, caFile }, discovery, await signIn.key());
  return signIn.authenticatedAgain(clientOf(discovery), tokens);
}

/**
 * The log's key is what `hoop audit verify` trusts. A relay that changes it proves, by the old key and its own log, that the
 * log was handed over; one that does not must be looked at by a person.
 */
async function refuseChangedLog(
  settings: Settings,
  { relay, log }: Discovery,
  { http, accept }: { readonly http: HttpClient; readonly accept: boolean },
): Promise<void> {
  const known = settings.relays[relay]?.logs[log.origin];
  if (known === undefined || known === log.vkey || accept) return;
  if (await wasHandedOver(known, log.vkey, (name) => fetchPublic(http, `${relay}/log/${name}`))) return;
  throw new AgentError(
    'log-key-changed',
    `${relay} signs its log with another key than at your last sign-in`,
    {
      hint: 'ask who runs it whether that is meant; then: hoop login --accept-new-log-key',
    },
  );
}

/** Does the chain of hand-overs lead from the key that was pinned to the one that is in force? */
async function wasHandedOver(
  from: string,
  to: string,
  read: (name: string) => Promise<Uint8Array | null>,
): Promise<boolean> {
  try {
    for await (const handover of followHandovers(NoteVerifier.parse(from), read))
      if (handover.to.toString() === to) return true;
  } catch (error) {
    // What proves nothing changes nothing.
    if (!(error instanceof EvidenceError)) throw error;
  }
  return false;
}

/** Null for anything but a file of the log. */
async function fetchPublic(http: HttpClient, url: string): Promise<Buffer | null> {
  const answer = await http.send({ method: 'GET', url, headers: {} });
  const text = await readText(answer, url, maxHandoverBytes);
  return answer.status === 200 ? Buffer.from(text) : null;
}
