/** Who is meant by what an operator types: an identity, since addresses decide nothing. */
import type { Identity } from '../../model/principal.ts';
import type { User } from '../state/users.ts';
import { SpaceError } from './error.ts';

export interface PeopleOptions {
  /** Of the people who sign in at this relay. */
  readonly issuer: string;
  /** People of the embedded provider by address; null: they are another provider's. */
  readonly byEmail: ((email: string) => Promise<User | null>) | null;
}

/**
 * @param names addresses of the embedded provider's people, or `sub:` and a subject
 * @throws SpaceError `break-glass-person-unknown`
 */
export async function identitiesOf(
  names: readonly string[],
  { issuer, byEmail }: PeopleOptions,
): Promise<Identity[]> {
  const people: Identity[] = [];
  for (const name of names) {
    if (name.startsWith('sub:')) {
      people.push({ issuer, subject: name.slice('sub:'.length) });
      continue;
    }
    if (byEmail === null)
      throw new SpaceError(
        'break-glass-person-unknown',
        `people sign in at ${issuer}: name them by subject, as sub:SUBJECT, not by address`,
      );
    const user = await byEmail(name);
    if (user === null)
      throw new SpaceError('break-glass-person-unknown', 'there is nobody of one of these addresses', {
        hint: 'see: hoop admin users list',
      });
    people.push({ issuer, subject: user.id });
  }
  return people;
}
