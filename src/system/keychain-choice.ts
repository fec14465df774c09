/** Which credential store this machine has: the system's, the file, or the system's with the file behind it. */
import { KeychainError } from './keychain.ts';
import type { Keychain, StoreKind } from './keychain.ts';
import { FileKeychain } from './keychain-file.ts';

export interface KeychainOptions {
  /** Directory of the fallback file; made 0700 when it is first needed. */
  readonly directory: string;
  /** Told when a new secret goes to the fallback file because the machine has no store of its own. */
  warn(message: string): void;
  /** `HOOP_KEYCHAIN` and the session bus are read from it. */
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Chooses the store: `HOOP_KEYCHAIN=file` or `system` decides; otherwise the system's where one answers, with the
 * file behind it.
 * @throws KeychainError `keychain-unknown` for another value, `keychain-failed` when `system` is asked for in vain
 */
export async function openKeychain(options: KeychainOptions): Promise<Keychain> {
  const choice = options.environment.HOOP_KEYCHAIN ?? 'auto';
  if (choice === 'file') return new FileKeychain(options.directory, () => undefined);
  if (choice !== 'auto' && choice !== 'system')
    throw new KeychainError('keychain-unknown', `HOOP_KEYCHAIN is neither "system" nor "file"`);
  const file = new FileKeychain(options.directory, options.warn);
  if (choice === 'auto' && !mayHaveService(options.environment)) return file;
  // Imported late: the native module costs 20 ms, and most servers have no service to ask.
  const { ServiceKeychain, NoCollectionError } = await import('./keychain-service.ts');
  const service = await ServiceKeychain.open();
  if (service !== null && choice === 'system') return service;
  if (service !== null)
    return new KeychainWithFallback(service, file, (error) => error instanceof NoCollectionError);
  if (choice === 'auto') return file;
  throw new KeychainError('keychain-failed', 'this machine has no credential store that answers', {
    hint: 'start one (for example gnome-keyring), or use HOOP_KEYCHAIN=file',
  });
}

/** The Secret Service is reached over the session bus: without one there is nothing to ask. */
function mayHaveService(environment: NodeJS.ProcessEnv): boolean {
  return process.platform !== 'linux' || (environment.DBUS_SESSION_BUS_ADDRESS ?? '') !== '';
}

/**
 * The system's store first. The file is read as well, because a sign-in may have been kept before the store was
 * there, and written only when the store has no collection at all (a bus that starts an empty service on demand).
 */
class KeychainWithFallback implements Keychain {
  readonly #service: Keychain;
  readonly #file: Keychain;
  readonly #nowhereToWrite: (error: unknown) => boolean;

  constructor(service: Keychain, file: Keychain, nowhereToWrite: (error: unknown) => boolean) {
    this.#service = service;
    this.#file = file;
    this.#nowhereToWrite = nowhereToWrite;
  }

  async getPassword(service: string, account: string): Promise<string | null> {
    return (
      (await this.#service.getPassword(service, account)) ?? (await this.#file.getPassword(service, account))
    );
  }

  async setPassword(service: string, account: string, password: string): Promise<void> {
    try {
      await this.#service.setPassword(service, account, password);
    } catch (error) {
      if (!this.#nowhereToWrite(error)) throw error;
      return this.#file.setPassword(service, account, password);
    }
    // One copy only: an older one in the file would come back after a logout.
    if ((await this.#file.getPassword(service, account)) !== null)
      await this.#file.deletePassword(service, account);
  }

  async deletePassword(service: string, account: string): Promise<boolean> {
    const inFile = (await this.#file.getPassword(service, account)) !== null;
    if (inFile) await this.#file.deletePassword(service, account);
    return (await this.#service.deletePassword(service, account)) || inFile;
  }

  async whereIs(service: string, account: string): Promise<StoreKind | null> {
    return (await this.#service.whereIs(service, account)) ?? this.#file.whereIs(service, account);
  }

  async probe(service: string): Promise<void> {
    try {
      await this.#service.probe(service);
    } catch (error) {
      if (!this.#nowhereToWrite(error)) throw error;
      await this.#file.probe(service);
    }
  }

  async findCredentials(service: string): Promise<{ account: string; password: string }[]> {
    const found = await this.#service.findCredentials(service);
    const known = new Set(found.map(({ account }) => account));
    return [...found, ...(await this.#file.findCredentials(service)).filter((c) => !known.has(c.account))];
  }
}
