/** Key sets of issuers on record, before a token is accepted by one: what proves a sign-in can be checked after they rotated away. */
import canonicalize from 'canonicalize';
import { relayActor, type NewEntry } from '../evidence/entry.ts';
import { keepKeySet } from '../evidence/logins/archive.ts';
import type { SeenKeys } from '../identity/issuer-keys.ts';

/** A set that is longer, in bytes of canonical JSON, is a file beside the log. */
const inEntryBytes = 32_768;

/**
 * @param evidence the evidence directory
 * @throws EvidenceError `log-write-failed`
 */
export async function tellIssuerKeys(
  { evidence, append }: { evidence: string; append: (entry: NewEntry) => Promise<unknown> },
  issuer: string,
  { jwks, digest }: SeenKeys,
): Promise<void> {
  const text = canonicalize(jwks) ?? '';
  const fits = Buffer.byteLength(text) < inEntryBytes;
  if (!fits) await keepKeySet(evidence, digest, text);
  await append({
    kind: 'issuer.keys',
    actor: relayActor,
    issuer,
    jwksDigest: digest,
    jwks: fits ? JSON.parse(text) : null,
  });
}
