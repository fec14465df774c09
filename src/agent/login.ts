/**
 * Signing in: the relay says which provider to ask, the person signs in there with any browser (RFC 8628), and the
 * relay answers with a token of its own, bound to a key pair made here.
 */
import { EvidenceError } from '../evidence/error.ts';
import { followHandovers, maxHandoverBytes } from '../evidence/log/handover.ts';
import { NoteVerifier } from '../evidence/log/note.ts';
import { generateLoginKey, importLoginKey } from '../identity/login-key.ts';
import { LoginAnswer } from '../wire/api.ts';
import type { Discovery } from '../wire/api.ts';
import { endOfRenewal } from './credentials.ts';
import type { Credential, CredentialStore } from './credentials.ts';
import { AgentError } from './error.ts';
import { HttpClient, readText } from './http.ts';
import { Issuer } from './issuer.ts';
import type { DevicePrompt } from './issuer.ts';
import { discover, RelayClient } from './relay-client.ts';
import type { Settings, SettingsFile } from './settings.ts';
import { withAnswer } from './sign-in.ts';

export interface LoginOptions {
  /** Normal form (`relayAddress`). */
  readonly relay: string;
  readonly caFile: string | null;
  readonly store: CredentialStore;
  readonly settings: SettingsFile;
  /** Takes a log key that differs from the one seen before. */
  readonly acceptNewLogKey: boolean;
  prompt(prompt: DevicePrompt): void;
  readonly signal: AbortSignal;
}

/**
 * The new sign-in, stored; the relay becomes the one of commands that name none.
 * @throws AgentError, IdentityError, RelayProblem, KeychainError
 */
export async function login(options: LoginOptions): Promise<Credential> {
  const { relay, caFile, store, settings } = options;
  const http = await HttpClient.open(relay, caFile);
  try {
    const discovery = await discover(relay, http);
    await refuseChangedLog(await settings.read(), discovery, { http, accept: options.acceptNewLogKey });
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
    await store.save(relay, credential);
    await settings.change((content) => {
      const logs = { ...content.relays[relay]?.logs, [discovery.log.origin]: discovery.log.vkey };
      content.relays[relay] = { caFile, logs };
      content.defaultRelay = relay;
    });
    return credential;
  } finally {
    await http.close();
  }
}

async function signInAtIssuer(
  { caFile, prompt, signal }: LoginOptions,
  { issuer, clientId, scopes }: Discovery,
  key: Awaited<ReturnType<typeof importLoginKey>>,
) {
  const http = await HttpClient.open(issuer, caFile);
  try {
    const provider = await Issuer.discover({ issuer, clientId }, key, http);
    return await provider.deviceGrant(scopes, prompt, signal);
  } finally {
    await http.close();
  }
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
