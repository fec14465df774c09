/** A principal as the API shows it. */
import type { z } from 'zod';
import type { Principal } from '../model/principal.ts';
import type { PrincipalView } from '../wire/api.ts';

export const principalView = ({
  kind,
  issuer,
  subject,
  email,
  groups,
  actsFor,
}: Principal): z.output<typeof PrincipalView> => ({
  kind,
  issuer,
  subject,
  email,
  groups: [...groups],
  actsFor: actsFor && { ...actsFor, groups: [...actsFor.groups] },
});
