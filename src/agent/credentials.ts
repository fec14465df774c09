/** The sign-ins of this user, one a relay, in the credential store and nowhere else. */
import { z } from 'zod';
import { openKeychain } from '../system/keychain-choice.ts';
import type { Keychain } from '../system/keychain.ts';
import { PrincipalView } from '../wire/api.ts';
import { AgentError } from './error.ts';

const service = 'hoop';

const Credential = z.object({
  v: z.literal(1),
  /** Login id at the relay. */
  login: z.string(),
  issuer: z.string(),
  clientId: z.string(),
  /** Null: a public client. */
  clientSecret: z.string().nullable().default(null),
  /** Private JWK of the key pair made at login. */
  key: z.record(z.string(), z.string()),
  /** Null when the provider gave none. */
  refreshToken: z.string().nullable(),
  /** Until then it can be renewed, wall clock as below; null when the provider did not say. */
  renewableUntilMs: z.number().nullable().default(null),
  accessToken: z.string(),
  /** Wall-clock milliseconds since the epoch: other processes and later days read it. */
  accessTokenEndsAtMs: z.number(),
  accessTokenLifetimeMs: z.number(),
  principal: PrincipalView,
});
/** Secret: never logged, never printed. */
export type Credential = z.infer<typeof Credential>;

/** What a command needs to know of who is signed in; secret too. */
export type CurrentSignIn = Omit<Credential, 'v' | 'clientId' | 'clientSecret' | 'key'>;

/** When the sign-in is over for good; null when only the provider knows. */
export function signInEndMs(credential: CurrentSignIn): number | null {
  return credential.refreshToken === null ? credential.accessTokenEndsAtMs : credential.renewableUntilMs;
}

/** As a provider says it, from now. */
export const endOfRenewal = (renewableSeconds: number | null): number | null =>
  renewableSeconds === null ? null : Date.now() + renewableSeconds * 1000;

export interface CredentialStoreOptions {
  /** Of the fallback file. */
  readonly directory: string;
  warn(message: string): void;
  readonly environment: NodeJS.ProcessEnv;
}

export class CredentialStore {
  readonly #options: CredentialStoreOptions;
  #keychain: Promise<Keychain> | null = null;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
  }

  /** Null when not signed in at this relay. @throws KeychainError, AgentError `credential-damaged` */
  async load(relay: string): Promise<Credential | null> {
    const text = await (await this.#open()).getPassword(service, relay);
    if (text === null) return null;
    try {
      return Credential.parse(JSON.parse(text));
    } catch {
      // Without the cause: a parser's message may quote what it read.
      throw new AgentError('credential-damaged', 'the stored sign-in cannot be read', {
        hint: `sign in again: hoop login ${relay}`,
      });
    }
  }

  /** @throws KeychainError */
  async save(relay: string, credential: Credential): Promise<void> {
    await (await this.#open()).setPassword(service, relay, JSON.stringify(credential));
  }

  /** @throws KeychainError */
  async remove(relay: string): Promise<void> {
    await (await this.#open()).deletePassword(service, relay);
  }

  #open(): Promise<Keychain> {
    this.#keychain ??= openKeychain(this.#options);
    return this.#keychain;
  }
}
