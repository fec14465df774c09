/**
 * Sealing originals to other auditors (`POST /v1/audit/sessions/:id/originals/:segment` with `ResealBody` → 204): an auditor
 * opens the segment's age file, seals what is in it anew, and the relay puts that in its place. The relay can open
 * neither: it sees that the new file is an age file of as many recipients and as long a content, that the old one is the one
 * that its log names, and that the auditor's key signed both digests.
 */
import { z } from 'zod';

const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Signed by the auditor's key, as `SessionKillClaims` of `api.ts`. */
export const ResealClaims = z.strictObject({
  v: z.literal(1),
  action: z.literal('originals.reseal'),
  relay: z.url(),
  session: ulid,
  segment: z.int().nonnegative(),
  /** SHA-256 of the age file that was opened. */
  from: sha256,
  /** SHA-256 of the one in its place. */
  to: sha256,
  /** Whom the new one is sealed to, `age1…`. */
  recipients: z
    .array(z.string().regex(/^age1[a-z0-9]{58}$/))
    .min(1)
    .max(16),
  iat: z.int(),
  jti: z.string().min(16).max(64),
});
export type ResealClaims = z.infer<typeof ResealClaims>;

export const ResealBody = z.strictObject({
  request: z.string().max(16_384),
  /** The new age file, base64. */
  age: z.base64(),
});

/** The originals of a segment close it at 1 MiB, and a flush is 1 MiB more; base64 adds a third. */
export const resealBodyBytes = 8 * 1024 * 1024;
