/**
 * The operating system's credential store through @napi-rs/keyring: Secret Service on Linux, Keychain on macOS,
 * Credential Manager on Windows.
 *
 * On Linux the store is named in every call: without the name the library falls back in silence to the kernel's
 * keyring, which forgets at logout. Reading asks for the secret, not the password: only that tells a locked item
 * (an error) from an absent one (null). The library has no codes, so its English messages are told apart here alone.
 */
import { AsyncEntry, findCredentialsAsync } from '@napi-rs/keyring';
import { KeychainError } from './keychain.ts';
import type { Keychain, StoreKind } from './keychain.ts';

const options = { linux: { store: 'secret-service' } } as const;
const probeAccount = 'probe';
const lockedMessages = /unlock prompt was dismissed|IsLocked|is locked|user interaction is not allowed/i;

/** What `setPassword` throws when the service runs but holds no collection to write to. */
export class NoCollectionError extends Error {}

export class ServiceKeychain implements Keychain {
  private constructor() {}

  /** Null when no store answers on this machine. @throws KeychainError `keychain-locked` */
  static async open(): Promise<ServiceKeychain | null> {
    try {
      await new AsyncEntry('hoop', probeAccount, options).getSecret();
      return new ServiceKeychain();
    } catch (error) {
      if (error instanceof Error && lockedMessages.test(error.message)) return new ServiceKeychain();
      return null;
    }
  }

  getPassword(service: string, account: string): Promise<string | null> {
    return told(async () => {
      const secret = await new AsyncEntry(service, account, options).getSecret();
      return secret === null ? null : Buffer.from(secret).toString();
    });
  }

  /** @throws NoCollectionError when the service has nowhere to write */
  setPassword(service: string, account: string, password: string): Promise<void> {
    return told(() => new AsyncEntry(service, account, options).setSecret(Buffer.from(password)));
  }

  deletePassword(service: string, account: string): Promise<boolean> {
    return told(() => new AsyncEntry(service, account, options).deleteCredential());
  }

  findCredentials(service: string): Promise<{ account: string; password: string }[]> {
    return told(() => findCredentialsAsync(service));
  }

  async whereIs(service: string, account: string): Promise<StoreKind | null> {
    return (await this.getPassword(service, account)) === null ? null : 'system';
  }

  /** A locked collection lets nothing be seen, and so looks empty to whoever reads: only writing tells. */
  async probe(service: string): Promise<void> {
    await this.setPassword(service, probeAccount, '');
    await this.deletePassword(service, probeAccount);
  }
}

async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    if (lockedMessages.test(message))
      throw new KeychainError('keychain-locked', 'your credential store is locked', {
        hint: 'unlock it (log in to your desktop, or unlock the keyring), then try again; without a desktop, HOOP_KEYCHAIN=file keeps sign-ins in an encrypted file',
      });
    if (/no result found/i.test(message)) throw new NoCollectionError(message);
    throw new KeychainError('keychain-failed', 'your credential store did not answer as it should', {
      cause: error,
    });
  }
}
