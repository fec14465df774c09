/** Profiles and their sign-ins together: what the settings name, and what the credential store holds. */
import type { AccountOptions } from './account.ts';
import { askIfRunning } from './background-start.ts';
import { CredentialStore } from './credentials.ts';
import { directories } from './directories.ts';
import { AgentError } from './error.ts';
import { checkProfileName, namedProfile, profilesOf, renameProfile, type Profile } from './profiles.ts';
import { SettingsFile } from './settings.ts';
import { withRenewalLock } from './sign-in.ts';

type Place = Pick<AccountOptions, 'warn' | 'environment'>;

export interface ProfileState extends Profile {
  readonly current: boolean;
  readonly signedIn: boolean;
}

function open({ warn, environment = process.env }: Place) {
  const { config, runtime } = directories(environment);
  const store = new CredentialStore({ directory: config, warn, environment });
  return { config, runtime, store, settings: new SettingsFile(config) };
}

/** @throws KeychainError; AgentError `settings-damaged` */
export async function listProfiles(place: Place): Promise<ProfileState[]> {
  const { store, settings } = open(place);
  const known = await settings.read();
  const signedIn = new Set(await store.names());
  return profilesOf(known).map(({ name, relay }) => ({
    name,
    relay,
    current: name === known.current,
    signedIn: signedIn.has(name),
  }));
}

/** Also those that the settings have lost: a sign-in that nobody lists must not outlive `logout --all`. */
export async function signedInProfiles(place: Place): Promise<Profile[]> {
  const { store, settings } = open(place);
  const known = new Map(profilesOf(await settings.read()).map((profile) => [profile.name, profile]));
  return (await store.names()).map((name) => known.get(name) ?? { name, relay: name });
}

/** @throws AgentError `profile-unknown` */
export async function useProfile(name: string, place: Place): Promise<Profile> {
  const { settings } = open(place);
  const profile = namedProfile(name, await settings.read());
  await settings.change((content) => {
    content.current = profile.name;
  });
  return profile;
}

/**
 * Its sign-in and its ports go with it.
 * @throws AgentError `profile-unknown`, `profile-exists`, `profile-name-invalid`, `profile-in-use`; KeychainError
 */
export async function moveProfile(from: string, to: string, place: Place): Promise<Profile> {
  const { config, runtime, store, settings } = open(place);
  checkProfileName(to);
  const profile = namedProfile(from, await settings.read());
  const served = await askIfRunning(runtime, { v: 1, op: 'status' });
  if (served.some((view) => view.profile === profile.name))
    throw new AgentError(
      'profile-in-use',
      `targets of profile ${profile.name} are connected in the background`,
      {
        hint: `end them first: hoop disconnect --all --profile ${profile.name}`,
      },
    );
  const moved = { name: to, relay: profile.relay };
  await withRenewalLock(config, profile, async () => {
    // The settings first: they refuse a name that is taken.
    await settings.change((content) => renameProfile(content, profile, to));
    const credential = await store.load(profile);
    if (credential === null) return;
    await store.save(moved, credential);
    await store.remove(profile);
  });
  return moved;
}
