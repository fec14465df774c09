/** What somebody proved about who they are, before there is a login; and that of people, by an ID token. */
import { hash } from 'node:crypto';
import { base64url } from 'jose';
import type { KeptProofKind } from '../evidence/entry.ts';
import type { LoginScope } from '../identity/authenticator.ts';
import { brokeredIdToken } from '../identity/brokered-token.ts';
import { IdentityError } from '../identity/error.ts';
import type { IdTokens, VerifiedIdToken } from '../identity/id-token.ts';
import type { VerifiedPrincipal } from '../identity/verified-principal.ts';
import type { Authentication } from '../model/authentication.ts';
import type { LoginId } from '../model/ids.ts';
import type { LoginEntry } from './state/logins.ts';
import type { State } from './state/state.ts';

export interface Presented {
  readonly principal: VerifiedPrincipal;
  readonly authentication: Authentication;
  /** Thumbprint of the key that whoever issued it bound; null when it did not. */
  readonly boundJkt: string | null;
  /** What the `login` entry says of it. */
  readonly told: Pick<
    LoginEntry,
    'method' | 'idTokenDigest' | 'audience' | 'proof' | 'broker' | 'delegation'
  >;
  /** What is kept of it beside the log, by digest. Nothing that could be shown again. */
  readonly kept: readonly { readonly digest: string; readonly kind: KeptProofKind; readonly text: string }[];
  /** No login by it goes on after this, wall clock; null: it is good until it is not renewed. */
  readonly endsAtMs: number | null;
  readonly scope: LoginScope | null;
  /** The person's login under which an agent acts. */
  readonly parent: LoginId | null;
  /**
   * Asked before and after the login is stored: whoever is revoked in between is not left with one.
   * @throws IdentityError
   */
  readonly refuseUnlessVouchedFor: () => Promise<void>;
  /** A login stands by it from now on, a new one or one that it renewed; absent where nobody needs to know. */
  readonly opened?: (login: LoginId) => Promise<void>;
}

/** Sign-ins elsewhere that our own provider keeps, by the subject that its ID tokens have. */
export interface LoginBroker {
  readonly issuer: string;
  /** What the person's own issuer signed; null when the sign-in has ended. */
  proofOf(signIn: string): Promise<{ readonly kind: KeptProofKind; readonly text: string } | null>;
  vouchesFor(signIn: string): Promise<boolean>;
  /** From now on the login ends with the sign-in. */
  opened(signIn: string, login: LoginId): Promise<void>;
  /** The person signed out. */
  forget(login: LoginId): Promise<void>;
}

export interface IdTokenParts {
  readonly idTokens: IdTokens;
  readonly state: Pick<State, 'replay'>;
  /** Whether an ID token of that time, and of a sign-in of then, still speaks for its person; absent where the issuer is not ours to ask. */
  readonly vouchesFor?: ((subject: string, sinceMs: number) => Promise<boolean>) | undefined;
  /** When our own provider lets people sign in elsewhere; null or absent otherwise. */
  readonly broker?: LoginBroker | null | undefined;
}

/**
 * @param text an ID token as it came; untrusted
 * @param jkt of the key that signed the request
 * @throws IdentityError `id-token-invalid`, `id-token-expired`, `issuer-unreachable`, `issuer-invalid`
 */
export async function presentIdToken(parts: IdTokenParts, text: string, jkt: string): Promise<Presented> {
  const token = await parts.idTokens.verify(text);
  if (token.boundJkt !== null && token.boundJkt !== jkt)
    throw new IdentityError('id-token-invalid', 'The ID token is bound to another key.');
  // Once: who steals an ID token later cannot bind it to a key of their own.
  if (!(await parts.state.replay.firstUse(`id-token:${identityOf(text)}`, token.refusedFromMs + 60_000)))
    throw new IdentityError('id-token-invalid', 'The ID token was used before.');
  const { broker } = parts;
  return broker == null ? direct(parts, text, token) : brokered(broker, text, token);
}

/**
 * The same for every text that is this token. One signature can be spelt in several ways, and one by ECDSA makes a second,
 * which shares its first half; two that the issuer made of the same claims share nothing.
 */
function identityOf(jws: string): string {
  const [header = '', payload = '', signature = ''] = jws.split('.');
  const bytes = base64url.decode(signature);
  const half = base64url.encode(bytes.subarray(0, bytes.length / 2));
  return hash('sha256', `${header}.${payload}.${half}`, 'hex');
}

function direct({ vouchesFor }: IdTokenParts, text: string, token: VerifiedIdToken): Presented {
  const { principal, authentication, boundJkt, digest, audience, issuedAtMs } = token;
  const sinceMs = Math.min(issuedAtMs, authentication.timeMs ?? issuedAtMs);
  return {
    principal,
    authentication,
    boundJkt,
    told: { method: 'device-code', idTokenDigest: digest, audience },
    kept: [{ digest, kind: 'id-token', text }],
    endsAtMs: null,
    scope: null,
    parent: null,
    refuseUnlessVouchedFor: async () => {
      if (vouchesFor !== undefined && !(await vouchesFor(principal.subject, sinceMs))) throw notVouchedFor();
    },
  };
}

/** The record holds what the person's own issuer signed. That knows nothing of the key, which our own provider bound. */
async function brokered(broker: LoginBroker, text: string, verified: VerifiedIdToken): Promise<Presented> {
  const { principal, authentication, boundJkt, endsAtMs, signIn } = brokeredIdToken(text, verified);
  const proof = await broker.proofOf(signIn);
  if (proof === null) throw notVouchedFor();
  const digest = hash('sha256', proof.text, 'hex');
  return {
    principal,
    authentication,
    boundJkt,
    endsAtMs,
    told: {
      method: 'device-code',
      broker: { issuer: broker.issuer },
      ...(proof.kind === 'id-token' ? { idTokenDigest: digest } : { proof: { kind: proof.kind, digest } }),
    },
    kept: [{ digest, ...proof }],
    scope: null,
    parent: null,
    refuseUnlessVouchedFor: async () => {
      if (!(await broker.vouchesFor(signIn))) throw notVouchedFor();
    },
    opened: (login) => broker.opened(signIn, login),
  };
}

const notVouchedFor = (): IdentityError =>
  new IdentityError('id-token-invalid', 'The provider no longer stands by this ID token.', {
    hint: 'sign in again: hoop login',
  });
