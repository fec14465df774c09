/**
 * What holds the log's signing key, and the one that it may be handed over to. The configuration says where keys are; the
 * log itself says which is in force (evidence/log/rotation.ts).
 *
 * Of a key in a file the successor lies beside it, `<file>.next`, until the new key has signed; then it takes the old one's
 * place, and the old one is gone.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { EvidenceError } from '../evidence/error.ts';
import { openCheckpoint } from '../evidence/log/checkpoint.ts';
import { createSigner, readSigner } from '../evidence/log/key-file.ts';
import type { Log } from '../evidence/log/log.ts';
import type { CheckpointSigner } from '../evidence/log/note.ts';
import { durableFiles } from '../system/durable-file.ts';
import type { RelayConfig } from './config/config.ts';
import type { LogKeyConfig } from './config/log-schema.ts';
import { KeysError } from './keys-error.ts';
import { openSigner, type OpenedSigner } from './signing/open.ts';

export type LogKeysConfig = Pick<RelayConfig, 'log' | 'evidence'>;

/** Where the successor of a key in a file lies. */
const nextFile = (file: string): string => `${file}.next`;

export class LogKeys {
  readonly #config: LogKeysConfig;
  #first: OpenedSigner;
  #next: OpenedSigner | null;

  private constructor(config: LogKeysConfig, first: OpenedSigner, next: OpenedSigner | null) {
    this.#config = config;
    this.#first = first;
    this.#next = next;
  }

  /** @throws as `openLogKeys` */
  static async open(config: LogKeysConfig): Promise<LogKeys> {
    const first = await openKey(config.log.key, config);
    try {
      return new LogKeys(config, first, await openNext(config));
    } catch (error) {
      await first.close();
      throw error;
    }
  }

  /** `log.key`, as its file is by now. */
  get signer(): CheckpointSigner {
    return this.#first.signer;
  }

  /** Keys that the log may have been handed over to. */
  get successors(): readonly CheckpointSigner[] {
    return this.#next === null ? [] : [this.#next.signer];
  }

  /**
   * The key to hand over to: `log.nextKey`, or one that is made beside the file of `log.key`; on disk before this resolves.
   * @throws KeysError `log-next-key-missing`
   */
  async successor(): Promise<CheckpointSigner> {
    const { key, origin } = this.#config.log;
    if (this.#next === null && key.kind === 'file') {
      const signer = await createSigner(nextFile(key.file), origin);
      this.#next = { signer, close: async () => undefined };
    }
    if (this.#next !== null) return this.#next.signer;
    throw new KeysError('log-next-key-missing', 'there is no key to hand the log over to', {
      hint: 'set log.nextKey in relay.yaml, and start the relay again',
    });
  }

  /**
   * After a hand-over: the new key's file takes the old one's place, once nothing on disk needs the old key any more.
   * @returns whether the configuration should be changed: the log's key is the one of `log.nextKey`
   */
  async settle(log: Log): Promise<boolean> {
    const { key, nextKey } = this.#config.log;
    const { verifier } = log.signer;
    if (this.#next?.signer !== log.signer || !signedBy(log, verifier)) return false;
    if (nextKey !== null || key.kind !== 'file') return true;
    await rename(nextFile(key.file), key.file);
    await durableFiles.syncDirectory(path.dirname(key.file));
    // Whoever opens the log again finds the key that it has by now.
    this.#first = this.#next;
    this.#next = null;
    return false;
  }

  async close(): Promise<void> {
    await Promise.all([this.#first.close(), this.#next?.close()]);
  }
}

function signedBy(log: Log, verifier: CheckpointSigner['verifier']): boolean {
  try {
    openCheckpoint(Buffer.from(log.checkpointOnDisk.note), verifier);
    return true;
  } catch {
    return false;
  }
}

/**
 * Opens what holds the keys; a key in a file that was never made is made.
 * @throws KeysError, SignerError, ConfigError `secret-unavailable`, `secret-exposed`, EvidenceError `log-key-exposed`,
 * `note-malformed`
 */
export const openLogKeys = (config: LogKeysConfig): Promise<LogKeys> => LogKeys.open(config);

async function openKey(key: LogKeyConfig, config: LogKeysConfig): Promise<OpenedSigner> {
  const { origin } = config.log;
  const opened =
    key.kind === 'file'
      ? { signer: await readOrCreate(key.file, config), close: async () => undefined }
      : await openSigner(key, origin);
  const { name } = opened.signer.verifier;
  if (name === origin) return opened;
  await opened.close();
  const which = key.kind === 'file' ? key.file : 'log.key';
  throw new KeysError('log-key-mismatch', `${which} is the key of the log ${name}`, {
    hint: `the configuration says ${origin}: set log.origin, or start a new log with a new key and directory`,
  });
}

async function openNext(config: LogKeysConfig): Promise<OpenedSigner | null> {
  const { key, nextKey } = config.log;
  if (nextKey !== null) return openKey(nextKey, config);
  if (key.kind !== 'file' || !existsSync(nextFile(key.file))) return null;
  return { signer: await readSigner(nextFile(key.file)), close: async () => undefined };
}

async function readOrCreate(file: string, { log, evidence }: LogKeysConfig): Promise<CheckpointSigner> {
  try {
    return await readSigner(file);
  } catch (error) {
    if (!(error instanceof EvidenceError) || error.code !== 'evidence-not-found') throw error;
  }
  const isFirst = log.key.kind === 'file' && log.key.file === file;
  if (isFirst && existsSync(path.join(evidence.directory, 'log', 'checkpoint')))
    throw new KeysError('log-key-missing', `${file} is missing, and the log that it signed is still there`, {
      hint: 'restore the key from its backup; a new key needs a new evidence.directory',
    });
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  return createSigner(file, log.origin);
}
