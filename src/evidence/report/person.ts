/** Who a line of a report is about: the principal, and the person for whom it acts. */
import type { Who } from '../read/sessions.ts';

/** Groups are those of a login, and may differ from line to line of one person. */
export type Named = Omit<Who, 'groups'>;

export const namedOf = ({ kind, issuer, subject, email, actsFor }: Who): Named => ({
  kind,
  issuer,
  subject,
  email,
  actsFor:
    actsFor === null ? null : { issuer: actsFor.issuer, subject: actsFor.subject, email: actsFor.email },
});

/** One principal on behalf of one person (or of nobody). */
export const namedKey = ({ issuer, subject, actsFor }: Named): string =>
  JSON.stringify([issuer, subject, actsFor?.issuer, actsFor?.subject]);

/** For people to read; not escaped, and it decides nothing. */
export function labelOf({ email, subject, actsFor }: Named): string {
  const own = email ?? subject;
  return actsFor === null ? own : `${own} for ${actsFor.email ?? actsFor.subject}`;
}
