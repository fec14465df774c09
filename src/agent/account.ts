/** One relay and the sign-in at it, ready to be called: what commands and the background agent start from. */
import path from 'node:path';
import { CredentialStore } from './credentials.ts';
import { directories } from './directories.ts';
import { AgentError } from './error.ts';
import { HttpClient } from './http.ts';
import { MachineSignIn } from './machine-sign-in.ts';
import { machineSource, type MachineSource } from './machine-source.ts';
import { relayAddress } from './relay-address.ts';
import { RelayClient } from './relay-client.ts';
import { SettingsFile } from './settings.ts';
import type { Settings } from './settings.ts';
import { SignIn, type AccountSignIn } from './sign-in.ts';

export interface AccountOptions {
  /** As typed; null for the one of the last sign-in. */
  readonly relay: string | null;
  /** Null for the one named at sign-in, if any. */
  readonly caFile: string | null;
  /** Said to the person, not part of a result. */
  warn(message: string): void;
  readonly environment?: NodeJS.ProcessEnv;
  /** How a program signs in; null: a person did. What the environment says otherwise. */
  readonly machine?: MachineSource | null;
}

export interface Account {
  /** Base URL, normal form. */
  readonly relay: string;
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
 * @throws AgentError `relay-unknown`, `relay-address-invalid`, `relay-insecure`, `ca-file-unreadable`,
 * `machine-settings-invalid`
 */
export async function openAccount(options: AccountOptions): Promise<Account> {
  const environment = options.environment ?? process.env;
  const { config } = directories(environment);
  const settings = new SettingsFile(config);
  const known = await settings.read();
  const relay = chooseRelay(options.relay, known);
  // Absolute, because it is remembered and handed to the background agent.
  const typed = options.caFile === null ? null : path.resolve(options.caFile);
  const caFile = typed ?? known.relays[relay]?.caFile ?? null;
  const store = new CredentialStore({ directory: config, warn: options.warn, environment });
  const http = await HttpClient.open(relay, caFile);
  const machine = options.machine === undefined ? machineSource(environment) : options.machine;
  const signIn =
    machine === null
      ? new SignIn({ relay, store, directory: config, http, caFile })
      : new MachineSignIn(relay, http, machine);
  const client = new RelayClient(relay, http, signIn);
  return { relay, client, signIn, machine, store, settings, caFile, close: () => http.close() };
}

/** @throws AgentError `relay-unknown`, `relay-address-invalid`, `relay-insecure` */
export function chooseRelay(typed: string | null, settings: Settings): string {
  if (typed !== null && typed !== '') return relayAddress(typed);
  if (settings.defaultRelay !== null) return settings.defaultRelay;
  throw new AgentError('relay-unknown', 'no relay is named and you are not signed in at any', {
    hint: 'hoop login https://relay.example.com',
  });
}

/** @returns verifier keys of the relay's logs as pinned at sign-in, by origin */
export async function pinnedLogs(account: Account): Promise<Readonly<Record<string, string>>> {
  return (await account.settings.read()).relays[account.relay]?.logs ?? {};
}
