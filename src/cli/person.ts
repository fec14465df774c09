/** A principal's name for people to read; it decides nothing. */
import { visible } from './colour.ts';

export function nameOf(principal: { readonly email: string | null; readonly subject: string }): string {
  return visible(principal.email ?? principal.subject);
}
