/** Entries about the sealed originals of what was masked. */
import { z } from 'zod';
import { byPerson, count, jws, login, session, sha256 } from './shapes.ts';

/**
 * The originals of a segment are sealed to other auditors: a new age file of the same content takes the place of the old
 * one. On disk before the file goes into its place. Actor: the auditor who opened the old one.
 */
const originalsResealed = {
  kind: z.literal('originals.resealed'),
  session,
  segment: count,
  /** SHA-256 of `<segment>.age` before. */
  from: sha256,
  /** And after. */
  to: sha256,
  /** `age1…`, as the auditor said: the file does not tell. */
  recipients: z.array(z.string().regex(/^age1[a-z0-9]{58}$/)).min(1).max(16), // prettier-ignore
  /** The auditor's login, whose key signed `request` (`ResealClaims`). */
  login,
  request: jws,
};

export const originalsEntries = [z.object({ ...byPerson, ...originalsResealed })] as const;
