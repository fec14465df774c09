/**
 * What the CLI remembers without secrets, in one file of the configuration directory: relays signed in to, the key of
 * each relay's log as first seen, ports. Written by several processes: each change is made under a lock.
 */
import path from 'node:path';
import { z } from 'zod';
import { readPrivateFile, writePrivateFile } from '../system/private-file.ts';
import { withProcessLock } from '../system/process-lock.ts';
import { AgentError } from './error.ts';

const KnownRelay = z.object({
  /** Further TLS authorities, as named at sign-in; null for none. */
  caFile: z.string().nullable(),
  /** C2SP verifier keys by log origin, as seen at the first sign-in: a later one that differs is told. */
  logs: z.record(z.string(), z.string()),
});
export type KnownRelay = z.infer<typeof KnownRelay>;

const Settings = z.object({
  v: z.literal(1),
  /** The relay of commands that name none. */
  defaultRelay: z.string().nullable(),
  relays: z.record(z.string(), KnownRelay),
  /** Local port by `<target> <relay>`: it stays the same, so that a client's own configuration keeps working. */
  ports: z.record(z.string(), z.int().min(1).max(65_535)),
});
export type Settings = z.infer<typeof Settings>;

const lockTimeoutMs = 10_000;
const empty = (): Settings => ({ v: 1, defaultRelay: null, relays: {}, ports: {} });

/** Key of `Settings.ports`. */
export const portKey = (relay: string, target: string): string => `${target} ${relay}`;

export class SettingsFile {
  readonly #file: string;

  /** @param directory of `Directories.config` */
  constructor(directory: string) {
    this.#file = path.join(directory, 'settings.json');
  }

  /** @throws AgentError `settings-damaged`; PrivateFileError */
  async read(): Promise<Settings> {
    const content = await readPrivateFile(this.#file);
    if (content === null) return empty();
    try {
      return Settings.parse(JSON.parse(content.toString('utf8')));
    } catch (cause) {
      throw new AgentError('settings-damaged', `${this.#file} is not what hoop wrote`, {
        hint: 'remove it and sign in again',
        cause,
      });
    }
  }

  /** Reads, edits and replaces while no other process does. @throws as `read` */
  change(edit: (settings: Settings) => void): Promise<void> {
    return withProcessLock(`${this.#file}.lock`, lockTimeoutMs, async () => {
      const settings = await this.read();
      edit(settings);
      await writePrivateFile(this.#file, `${JSON.stringify(settings, null, 2)}\n`);
    });
  }
}
