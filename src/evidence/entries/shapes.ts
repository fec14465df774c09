/** What entries are made of. */
import { z } from 'zod';

export const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
export const session = ulid.describe('SessionId');
export const login = ulid.describe('LoginId');
export const target = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'SHA-256 in lower-case hexadecimal');
export const time = z
  .string()
  .regex(/^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{3}Z$/, 'RFC 3339, UTC, ms');
export const count = z.int().nonnegative();
export const jws = z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/);
export const policies = z.array(z.string());

export const PersonActor = z.object({
  kind: z.enum(['person', 'service', 'agent']),
  issuer: z.string(),
  subject: z.string(),
  /** For people to read; decides nothing. */
  email: z.string().nullable(),
  /** The person on whose behalf an agent acted; absent when it was nobody. */
  actsFor: z.object({ issuer: z.string(), subject: z.string(), email: z.string().nullable() }).optional(),
});
export type PersonActor = z.infer<typeof PersonActor>;

/** Who caused the entry: the relay by itself, or a verified principal. */
export const Actor = z.discriminatedUnion('kind', [z.object({ kind: z.literal('relay') }), PersonActor]);
export type Actor = z.infer<typeof Actor>;

export const base = { v: z.literal(1), time, actor: Actor };
export const byPerson = { v: z.literal(1), time, actor: PersonActor };
