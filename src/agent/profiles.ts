/**
 * Which account a command means. A flag beats a variable, a profile names its relay, and a relay without a profile means
 * the one account there is at it; what contradicts itself or could mean two is refused, never guessed.
 */
import { AgentError } from './error.ts';
import { relayAddress } from './relay-address.ts';
import { portKey, type Settings } from './settings.ts';

/** As named on the command line or in the environment; null: not named. */
export interface AccountChoice {
  readonly profile: string | null;
  readonly relay: string | null;
  /** In place of the current profile, where that would decide: what a variable says beside a flag. */
  readonly preferred?: string | null;
}

export interface Profile {
  readonly name: string;
  /** Base URL, normal form. */
  readonly relay: string;
}

const nameShape = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Named by a person; false: a relay's own, which is called as its address. */
export const isNamed = ({ name, relay }: Profile): boolean => name !== relay;

/** What signs in again. */
export const loginCommand = (profile: Profile): string =>
  `hoop login ${isNamed(profile) ? `--profile ${profile.name}` : profile.relay}`;

/** All, by name. */
export const profilesOf = ({ profiles }: Settings): Profile[] =>
  Object.entries(profiles)
    .map(([name, { relay }]) => ({ name, relay }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));

/**
 * The account of a command that needs one.
 * @throws AgentError `profile-unknown`, `profile-contradiction`, `profile-ambiguous`, `relay-unknown`, `relay-address-invalid`,
 *   `relay-insecure`
 */
export function chooseProfile(choice: AccountChoice, settings: Settings): Profile {
  const relay = choice.relay === null ? null : relayAddress(choice.relay);
  if (choice.profile !== null) return sameRelay(named(choice.profile, settings), relay);
  if (relay !== null) return profileAt(relay, settings, choice.preferred ?? settings.current);
  const { current } = settings;
  if (current !== null && Object.hasOwn(settings.profiles, current)) return named(current, settings);
  throw new AgentError('relay-unknown', 'no relay is named and you are not signed in at any', {
    hint: 'hoop login https://relay.example.com',
  });
}

/**
 * The account that a sign-in is for; it may be a new one. A new name without a relay is a second account at the current one.
 * @throws as `chooseProfile`; AgentError `profile-name-invalid`
 */
export function chooseProfileForLogin(choice: AccountChoice, settings: Settings): Profile {
  const name = choice.profile;
  if (name === null || Object.hasOwn(settings.profiles, name)) return chooseProfile(choice, settings);
  checkProfileName(name);
  const relay = choice.relay === null ? null : relayAddress(choice.relay);
  return { name, relay: relay ?? chooseProfile({ profile: null, relay: null }, settings).relay };
}

/** @throws AgentError `profile-name-invalid` */
export function checkProfileName(name: string): void {
  if (nameShape.test(name)) return;
  throw new AgentError('profile-name-invalid', 'this cannot be the name of a profile', {
    hint: 'lower-case letters, digits and . _ - , at most 63, such as staging',
  });
}

/** @throws AgentError `profile-unknown` */
export function namedProfile(name: string, settings: Settings): Profile {
  return named(Object.hasOwn(settings.profiles, name) ? name : addressOr(name), settings);
}

/** The profile goes, and its ports with it; what is known of its relay stays. */
export function forgetProfile(settings: Settings, name: string): void {
  delete settings.profiles[name];
  for (const key of Object.keys(settings.ports)) if (key.endsWith(` ${name}`)) delete settings.ports[key];
  if (settings.current === name) settings.current = null;
}

/** Under another name, ports included. @throws AgentError `profile-exists` */
export function renameProfile(settings: Settings, from: Profile, to: string): void {
  if (Object.hasOwn(settings.profiles, to))
    throw new AgentError('profile-exists', `there is a profile ${to} already`, { hint: 'hoop profiles' });
  settings.profiles[to] = { relay: from.relay };
  for (const [key, port] of Object.entries(settings.ports))
    if (key.endsWith(` ${from.name}`))
      settings.ports[portKey(to, key.slice(0, -from.name.length - 1))] = port;
  const wasCurrent = settings.current === from.name;
  forgetProfile(settings, from.name);
  if (wasCurrent) settings.current = to;
}

function named(name: string, settings: Settings): Profile {
  if (Object.hasOwn(settings.profiles, name)) return { name, relay: settings.profiles[name]!.relay };
  throw new AgentError('profile-unknown', `there is no profile ${name}`, {
    hint: `see them: hoop profiles; make it: hoop login URL --profile ${name}`,
  });
}

function sameRelay(profile: Profile, relay: string | null): Profile {
  if (relay === null || relay === profile.relay) return profile;
  throw new AgentError(
    'profile-contradiction',
    `profile ${profile.name} is of ${profile.relay}, not of ${relay}`,
    {
      hint: 'leave out one of them, or choose another name',
    },
  );
}

/** The preferred one if it is there, else the relay's own, else the only one; a relay never met has its own. */
function profileAt(relay: string, settings: Settings, preferred: string | null): Profile {
  const there = profilesOf(settings).filter((profile) => profile.relay === relay);
  const own = there.find((profile) => !isNamed(profile));
  const chosen =
    there.find(({ name }) => name === preferred) ?? own ?? (there.length === 1 ? there[0] : null);
  if (chosen !== null && chosen !== undefined) return chosen;
  if (there.length === 0) return { name: relay, relay };
  throw new AgentError('profile-ambiguous', `you have several accounts at ${relay}`, {
    hint: `name one: ${there.map(({ name }) => `--profile ${name}`).join(', ')}`,
  });
}

function addressOr(name: string): string {
  try {
    return relayAddress(name);
  } catch {
    return name;
  }
}
