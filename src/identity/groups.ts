/**
 * The groups of a person, from the claims of a verified ID token and from what the operator says about people whose
 * provider has no groups. Names are taken exactly as the provider writes them: Keycloak's `/engineering` keeps its slash.
 */
import { z } from 'zod';
import { IdentityError } from './error.ts';

/**
 * Groups by who somebody is: `ana@example.com` and `@example.com` (lower case, verified addresses alone), `sub:1234`.
 */
export type GroupsMap = ReadonlyMap<string, readonly string[]>;

export interface GroupRules {
  /** Claim that holds the names of the groups: its exact name, else a path with dots (`realm_access.roles`). */
  readonly groupsClaim: string;
  readonly groupsMap: GroupsMap;
}

/** Claims of a token whose signature was verified. */
export interface PersonClaims {
  readonly [claim: string]: unknown;
}

const Groups = z
  .array(
    z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^\p{Cc}]*$/u),
  )
  .max(2000);

/** As JSON: an entry of the log is 64 KiB at most, and the one of a sign-in names all groups. */
const mostBytes = 49_152;

export const areRecordable = (groups: readonly string[]): boolean =>
  Buffer.byteLength(JSON.stringify(groups)) <= mostBytes;

/** @throws IdentityError `id-token-invalid` when the groups are not in the token, not names, or too many */
export function groupsOf(claims: PersonClaims, { groupsClaim, groupsMap }: GroupRules): readonly string[] {
  const groups = [...claimedGroups(claims, groupsClaim), ...mappedGroups(claims, groupsMap)];
  if (areRecordable(groups)) return groups;
  throw tooMany('its groups are too many to be recorded');
}

/**
 * The address, when the provider says that it is the person's: only such a one may decide anything. Google vouches for
 * its own addresses and those of Workspace organizations (`hd`); any other it has seen once, at most.
 */
export function verifiedEmail({ iss, email, email_verified: verified, hd }: PersonClaims): string | null {
  if (typeof email !== 'string' || !/^[^@\s]+@[^@\s]+$/.test(email)) return null;
  if (verified !== true && verified !== 'true') return null;
  const address = email.toLowerCase();
  const google = iss === 'https://accounts.google.com' || iss === 'accounts.google.com';
  return google && typeof hd !== 'string' && !address.endsWith('@gmail.com') ? null : address;
}

function mappedGroups(claims: PersonClaims, map: GroupsMap): readonly string[] {
  const address = verifiedEmail(claims);
  const byAddress = address === null ? [] : [address, address.slice(address.lastIndexOf('@'))];
  return [`sub:${String(claims['sub'])}`, ...byAddress].flatMap((key) => map.get(key) ?? []);
}

function claimedGroups(claims: PersonClaims, claim: string): readonly string[] {
  const value = valueAt(claims, claim);
  if (value === undefined || value === null) {
    if (isElsewhere(claims, claim))
      throw tooMany('the provider left the groups out because there are too many');
    return [];
  }
  const parsed = Groups.safeParse(typeof value === 'string' ? [value] : value);
  if (parsed.success) return parsed.data;
  throw new IdentityError(
    'id-token-invalid',
    'The ID token is not valid: its groups are not a list of names.',
    {
      hint: `the operator names the claim that holds them as identity.groupsClaim; it is ${claim} now`,
    },
  );
}

/**
 * Entra ID leaves groups out of a token when there are more than 200, and says where they could be asked for
 * (`_claim_names`, or `hasgroups` in short tokens). No groups would then be a wrong answer.
 */
function isElsewhere(claims: PersonClaims, claim: string): boolean {
  const names = claims['_claim_names'];
  const named = typeof names === 'object' && names !== null && Object.hasOwn(names, claim);
  const has = claims['hasgroups'];
  return named || (claim === 'groups' && (has === true || has === 'true'));
}

const tooMany = (why: string): IdentityError =>
  new IdentityError('id-token-invalid', `The ID token is not valid: ${why}.`, {
    hint: 'the operator lets the provider send only the groups assigned to this application (Entra ID: token configuration, groups claim), or its app roles with identity.groupsClaim: roles',
  });

/** The exact name first; then a path, each step as long a name as there is, since names hold dots as well. */
function valueAt(value: unknown, path: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if (Object.hasOwn(value, path)) return (value as PersonClaims)[path];
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const head = path.slice(0, dot);
    if (!Object.hasOwn(value, head)) continue;
    const found = valueAt((value as PersonClaims)[head], path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
