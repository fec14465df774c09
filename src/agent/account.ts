/** One account at a relay, ready to be called: what commands and the background agent start from. */
import path from 'node:path';
import { CredentialStore } from './credentials.ts';
import { directories } from './directories.ts';
import { HttpClient } from './http.ts';
import { MachineSignIn } from './machine-sign-in.ts';
import { machineSource, type MachineSource } from './machine-source.ts';
import { chooseProfile, type AccountChoice, type Profile } from './profiles.ts';
import { RelayClient } from './relay-client.ts';
import { SettingsFile } from './settings.ts';
import { SignIn, type AccountSignIn } from './sign-in.ts';

export interface AccountOptions extends AccountChoice {
  /** Null for the one named at sign-in, if any. */
  readonly caFile: string | null;
  /** Said to the person, not part of a result. */
  warn(message: string): void;
  readonly environment?: NodeJS.ProcessEnv;
  /** What the names mean; `chooseProfile` unless a sign-in makes a new one. */
  readonly choose?: typeof chooseProfile;
  /** How a program signs in; null: a person did. What the environment says otherwise. */
  readonly machine?: MachineSource | null;
}

export interface Account {
  /** Base URL, normal form. */
  readonly relay: string;
  readonly profile: Profile;
  readonly client: RelayClient;
  readonly signIn: AccountSignIn;
  /** How a program signs in; null: a person did. */
  readonly machine: MachineSource | null;
  readonly store: CredentialStore;
  readonly settings: SettingsFile;
  readonly caFile: string | null;
  /** Closes idle connections. */
  close(): Promise<void>;
}

/**
 * Reads no secret yet and calls nobody.
 * @throws as `chooseProfile`; AgentError `ca-file-unreadable`, `machine-settings-invalid`
 */
export async function openAccount(options: AccountOptions): Promise<Account> {
  const environment = options.environment ?? process.env;
  const { config } = directories(environment);
  const settings = new SettingsFile(config);
  const known = await settings.read();
  const profile = (options.choose ?? chooseProfile)(options, known);
  const { relay } = profile;
  // Absolute, because it is remembered and handed to the background agent.
  const typed = options.caFile === null ? null : path.resolve(options.caFile);
  const caFile = typed ?? known.relays[relay]?.caFile ?? null;
  const store = new CredentialStore({ directory: config, warn: options.warn, environment });
  const http = await HttpClient.open(relay, caFile);
  const machine = options.machine === undefined ? machineSource(environment) : options.machine;
  const signIn =
    machine === null
      ? new SignIn({ profile, store, directory: config, http, caFile })
      : new MachineSignIn(relay, http, machine);
  const client = new RelayClient(relay, http, signIn);
  const close = (): Promise<void> => http.close();
  return { relay, profile, client, signIn, machine, store, settings, caFile, close };
}

/** @returns verifier keys of the relay's logs as pinned at sign-in, by origin */
export async function pinnedLogs(account: Account): Promise<Readonly<Record<string, string>>> {
  return (await account.settings.read()).relays[account.relay]?.logs ?? {};
}
