/**
 * Fallback where a machine has no credential store: one 0600 file, AES-256-GCM, its key in a second 0600 file.
 * The encryption keeps secrets out of backups, greps and screenshots of the one file; against somebody who reads
 * both files only their mode protects, and the warning says so.
 *
 * File: `nonce[12] ‖ ciphertext ‖ tag[16]` of JSON `[{service, account, password}]`; additional data names the format.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { KeychainError } from './keychain.ts';
import type { Keychain, StoreKind } from './keychain.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import { withProcessLock } from './process-lock.ts';

const format = Buffer.from('hoop-credentials-v1');
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;
const lockTimeoutMs = 10_000;
const Content = z.array(z.object({ service: z.string(), account: z.string(), password: z.string() }));
type Content = z.infer<typeof Content>;

export class FileKeychain implements Keychain {
  readonly #file: string;
  readonly #keyFile: string;
  readonly #warn: (message: string) => void;

  constructor(directory: string, warn: (message: string) => void) {
    this.#file = path.join(directory, 'credentials');
    this.#keyFile = path.join(directory, 'credentials.key');
    this.#warn = warn;
  }

  async getPassword(service: string, account: string): Promise<string | null> {
    const found = (await this.#read()).find((item) => item.service === service && item.account === account);
    return found?.password ?? null;
  }

  async setPassword(service: string, account: string, password: string): Promise<void> {
    let isNew = false;
    await this.#change((content) => {
      const others = without(content, service, account);
      isNew = others.length === content.length;
      return [...others, { service, account, password }];
    });
    // At the sign-in, not at each renewal after it.
    if (isNew)
      this.#warn(`no credential store on this machine: the sign-in is kept in ${this.#file} (mode 0600)`);
  }

  async deletePassword(service: string, account: string): Promise<boolean> {
    let found = false;
    await this.#change((content) => {
      const kept = without(content, service, account);
      found = kept.length < content.length;
      return kept;
    });
    return found;
  }

  async findCredentials(service: string): Promise<{ account: string; password: string }[]> {
    const found = (await this.#read()).filter((item) => item.service === service);
    return found.map(({ account, password }) => ({ account, password }));
  }

  async whereIs(service: string, account: string): Promise<StoreKind | null> {
    return (await this.getPassword(service, account)) === null ? null : 'file';
  }

  /** Writes what is there. */
  probe(): Promise<void> {
    return this.#change((content) => content);
  }

  async #change(edit: (content: Content) => Content): Promise<void> {
    await withProcessLock(`${this.#file}.lock`, lockTimeoutMs, async () => {
      await this.#write(edit(await this.#read()));
    });
  }

  async #read(): Promise<Content> {
    const [sealed, key] = [await readPrivateFile(this.#file), await readPrivateFile(this.#keyFile)];
    if (sealed === null) return [];
    try {
      if (key === null || key.length !== keyBytes || sealed.length < nonceBytes + tagBytes)
        throw new Error('cut');
      const opened = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes));
      opened.setAAD(format).setAuthTag(sealed.subarray(-tagBytes));
      const text = Buffer.concat([opened.update(sealed.subarray(nonceBytes, -tagBytes)), opened.final()]);
      return Content.parse(JSON.parse(text.toString()));
    } catch {
      // The cause is left out: a parser's message may quote what it read.
      throw new KeychainError('credential-file-damaged', `${this.#file} cannot be opened with its key`, {
        hint: `remove ${this.#file} and sign in again`,
      });
    }
  }

  async #write(content: Content): Promise<void> {
    let key = await readPrivateFile(this.#keyFile);
    if (key === null) {
      key = randomBytes(keyBytes);
      await writePrivateFile(this.#keyFile, key);
    }
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(format);
    const sealed = [nonce, cipher.update(JSON.stringify(content)), cipher.final(), cipher.getAuthTag()];
    await writePrivateFile(this.#file, Buffer.concat(sealed));
  }
}

function without(content: Content, service: string, account: string): Content {
  return content.filter((item) => item.service !== service || item.account !== account);
}
