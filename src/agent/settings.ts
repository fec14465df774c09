/**
 * What the CLI remembers without secrets, in one file of the configuration directory: profiles, what is known of each
 * relay, ports. Written by several processes: each change is made under a lock.
 *
 * A profile is one account at one relay. Who never names one has the profile that is called as the relay itself, by its
 * address; a name of one's own makes a second account at the same relay possible. Its name is the key of its sign-in in the
 * credential store.
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

const Port = z.int().min(1).max(65_535);

const Settings = z.object({
  v: z.literal(2),
  /** The profile of commands that name neither profile nor relay. */
  current: z.string().nullable(),
  /** By name. */
  profiles: z.record(z.string(), z.object({ relay: z.string() })),
  /** By base URL: a relay's log and authorities are the same for every account there. */
  relays: z.record(z.string(), KnownRelay),
  /** Local port by `<target> <profile>`: it stays the same, so that a client's own configuration keeps working. */
  ports: z.record(z.string(), Port),
});
export type Settings = z.infer<typeof Settings>;

/** Before profiles: one account a relay, which is what a relay's own profile is now. */
const SettingsBefore = z
  .object({
    v: z.literal(1),
    defaultRelay: z.string().nullable(),
    relays: z.record(z.string(), KnownRelay),
    ports: z.record(z.string(), Port),
  })
  .transform(({ defaultRelay, relays, ports }): Settings => {
    const profiles = Object.fromEntries(Object.keys(relays).map((relay) => [relay, { relay }]));
    if (defaultRelay !== null) profiles[defaultRelay] = { relay: defaultRelay };
    return { v: 2, current: defaultRelay, profiles, relays, ports };
  });

const lockTimeoutMs = 10_000;
const empty = (): Settings => ({ v: 2, current: null, profiles: {}, relays: {}, ports: {} });

/** Key of `Settings.ports`. */
export const portKey = (profile: string, target: string): string => `${target} ${profile}`;

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
      return z.union([Settings, SettingsBefore]).parse(JSON.parse(content.toString('utf8')));
    } catch (cause) {
      throw new AgentError('settings-damaged', `${this.#file} is not what hoop wrote`, {
        hint: 'remove it and sign in again',
        cause,
      });
    }
  }

  /** Reads, edits and replaces while no other process does. @throws as `read`; what `edit` throws */
  change(edit: (settings: Settings) => void): Promise<void> {
    return withProcessLock(`${this.#file}.lock`, lockTimeoutMs, async () => {
      const settings = await this.read();
      edit(settings);
      await writePrivateFile(this.#file, `${JSON.stringify(settings, null, 2)}\n`);
    });
  }
}
