/**
 * One sign-in followed back to its issuer: the proof that its entry names is there, is that one, speaks of this person and
 * this key at this time, and is signed by a key that the issuer published before.
 */
import { hash } from 'node:crypto';
import type { EntryOf } from '../../entry.ts';
import { within, type Location } from '../../location.ts';
import { proofBytes, proofsOf, type KeptProofs } from '../../logins/layout.ts';
import { readIfThere } from '../../regular-file.ts';
import type { FailureCode, WarningCode } from '../finding.ts';
import { boundThumbprints, parseIdToken, verifyIdToken, type KeptIdToken } from './id-token.ts';
import type { SeenKeySet } from './issuer-keys.ts';

/**
 * `issuer`: by the issuer's own signature, over the key too. `relay`: the issuer signed who it is, and that the key is theirs is
 * the relay's word. `unchecked`: by a proof that this program does not read. `broken`: a link is missing.
 */
export type Attributed = 'issuer' | 'relay' | 'unchecked' | 'broken';

export interface SignInChain {
  readonly attributed: Attributed;
  /** What is wrong, or less than whole. */
  readonly link: { readonly code: FailureCode | WarningCode; readonly message: string } | null;
  /** The proof that was looked for. */
  readonly proof: {
    readonly kind: string;
    /** SHA-256 of its text, hexadecimal; null: it has none to tell, since it is a secret that is used again. */
    readonly digest: string | null;
    /** Below the evidence directory; null when it is not there. */
    readonly file: string | null;
  };
  /** What the token says of itself; null when it could not be read. Proven only as far as `attributed` says. */
  readonly token: {
    readonly issuer: string;
    readonly subject: string;
    readonly audience: readonly string[];
    /** RFC 3339. */
    readonly issuedAt: string;
    readonly expiresAt: string;
    readonly authTime: string | null;
  } | null;
  /** The issuer's key that signed it. */
  readonly issuerKey: {
    readonly kid: string | null;
    readonly algorithm: string;
    readonly jwksDigest: string;
    /** Place of the `issuer.keys` entry. */
    readonly index: number;
  } | null;
}

export interface SignIn {
  readonly entry: EntryOf<'login'>;
  readonly index: number;
  /** Key sets of its issuer that held then, the newest first. */
  readonly keySets: readonly SeenKeySet[];
}

/** The issuer's clock against the relay's. The relay allows a minute. */
const skewMs = 120_000;

/** @param evidence the evidence directory */
export async function followSignIn(
  evidence: Location,
  proofs: KeptProofs,
  { entry, keySets }: SignIn,
): Promise<SignInChain> {
  const named = proofsOf(entry)[0];
  if (named === undefined) return unkept(entry);
  const file = await proofs.find(named.digest);
  const found: SignInChain = {
    attributed: 'broken',
    link: null,
    proof: { ...named, file },
    token: null,
    issuerKey: null,
  };
  const broken = (code: FailureCode, message: string): SignInChain => ({
    ...found,
    link: { code, message: `${message} (login ${entry.login})` },
  });

  const stored = file === null ? null : await readIfThere(within(evidence, file), proofBytes);
  if (stored === null) return broken('attribution-token-missing', missing(entry));
  if (hash('sha256', stored, 'hex') !== named.digest)
    return broken('attribution-token-mismatch', 'what is kept is not what the sign-in was proven by');
  if (named.kind !== 'id-token') {
    const message = `its proof is a ${named.kind}, which is kept and was not read (login ${entry.login})`;
    return { ...found, attributed: 'unchecked', link: { code: 'attribution-not-checked', message } };
  }

  const token = parseIdToken(stored.toString());
  if (token === null)
    return broken('attribution-token-malformed', 'what is kept is no ID token, or of no allowed algorithm');
  const told = { ...found, token: summaryOf(token) };
  const disagreement = disagreementWith(entry, token, named.digest === entry.idTokenDigest);
  if (disagreement !== null)
    return { ...broken('attribution-claims-mismatch', `the ID token ${disagreement}`), token: told.token };
  const bound = boundThumbprints(token);
  if (bound.some((thumbprint) => thumbprint !== entry.thumbprint))
    return {
      ...broken('attribution-binding-mismatch', 'the issuer bound the ID token to another key'),
      token: told.token,
    };
  const ofThisToken = named.digest === entry.idTokenDigest;
  if (bound.length === 0 && entry.binding === 'cnf-by-issuer' && ofThisToken)
    return {
      ...broken('attribution-binding-mismatch', 'the ID token names no key, though the entry says so'),
      token: told.token,
    };

  const signer = await signerOf(token, keySets);
  if (typeof signer === 'string') return { ...broken(signer, signerProblems[signer]), token: told.token };
  const { set, kid } = signer;
  const issuerKey = { kid, algorithm: token.algorithm, jwksDigest: set.digest, index: set.index };
  if (bound.length > 0) return { ...told, issuerKey, attributed: 'issuer' };
  const message = `the issuer signed who it is; that the key is theirs is the relay's word (login ${entry.login})`;
  return { ...told, issuerKey, attributed: 'relay', link: { code: 'attribution-unbound', message } };
}

const missing = ({ keptBy }: EntryOf<'login'>): string =>
  keptBy === undefined
    ? 'what the identity provider signed is not kept here'
    : `what the identity provider signed is kept by the relay of the log ${keptBy}, whose logins/ has to be copied here`;

/** A machine's: what it shows may be shown again, so that it is not kept. */
function unkept({ login, proof, method }: EntryOf<'login'>): SignInChain {
  const kind = proof?.kind ?? method;
  const message = `it was proven by a ${kind}, which is not kept (login ${login})`;
  return {
    attributed: 'unchecked',
    link: { code: 'attribution-not-checked', message },
    proof: { kind, digest: proof?.digest ?? null, file: null },
    token: null,
    issuerKey: null,
  };
}

const signerProblems = {
  'attribution-key-unknown':
    'the log tells no key of the issuer, before the sign-in, that could have signed its ID token',
  'attribution-signature-invalid': 'the ID token is not signed by the key of the issuer that it names',
} as const;

/** The newest set that has a key for it decides; an unreadable one has been told. */
async function signerOf(
  token: KeptIdToken,
  keySets: readonly SeenKeySet[],
): Promise<{ set: SeenKeySet; kid: string | null } | keyof typeof signerProblems> {
  let invalid = false;
  for (const set of keySets) {
    const keys = await set.keys();
    const outcome = keys === null ? 'unknown' : verifyIdToken(token, keys);
    if (typeof outcome === 'object') return { set, kid: outcome.kid };
    invalid ||= outcome === 'invalid';
  }
  return invalid ? 'attribution-signature-invalid' : 'attribution-key-unknown';
}

/** What the token says otherwise than the entry; null when they agree. @param own false: it was issued to a broker, not to us */
function disagreementWith(
  { actor, audience, authTime, time, renews }: EntryOf<'login'>,
  { claims }: KeptIdToken,
  own: boolean,
): string | null {
  const atMs = Date.parse(time);
  if (claims.iss !== actor.issuer) return 'is of another issuer';
  if (claims.sub !== actor.subject) return 'is about another person';
  if (actor.email !== null && claims.email !== undefined && claims.email !== actor.email)
    return 'has another e-mail address';
  if (own && audience !== undefined) {
    if (![claims.aud].flat().includes(audience)) return 'was issued to another client';
    if (claims.azp !== undefined && claims.azp !== audience) return 'was issued to another client';
  }
  if (claims.exp <= claims.iat) return 'ended before it began';
  if (claims.iat * 1000 > atMs + skewMs) return 'was issued after the sign-in';
  // A login that is told again, to another log or after a restart, was proven before.
  if (renews === null && claims.exp * 1000 < atMs - skewMs) return 'had expired at the sign-in';
  // Nobody's sign-in becomes fresher than its issuer said; a renewal may tell of an older grant.
  if (renews === null && authTime && moment(Math.floor(claims.auth_time ?? 0)) !== authTime)
    return 'tells another time of the authentication';
  if (claims.auth_time !== undefined && claims.auth_time * 1000 > claims.iat * 1000 + skewMs)
    return 'was issued before its person signed in';
  return null;
}

function summaryOf({ claims }: KeptIdToken): SignInChain['token'] {
  const { iss, sub, aud, iat, exp, auth_time: authTime } = claims;
  return {
    issuer: iss,
    subject: sub,
    audience: [aud].flat(),
    issuedAt: moment(iat),
    expiresAt: moment(exp),
    authTime: authTime === undefined ? null : moment(authTime),
  };
}

/** Seconds as RFC 3339; whatever a forged token says, it has some text. */
function moment(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}
