/**
 * Where the embedded provider sends people to sign in when it has no people of its own: an *upstream*. The relay's
 * provider is then a broker: it runs the device grant for `hoop login`, and an `Upstream` says who the person is.
 *
 * The broker (`broker.ts`) owns everything about the browser and the state: that an answer comes back once, in time, to the
 * browser that left, and where what is kept lies. An `Upstream` owns its protocol and verifies everything of an answer.
 */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

export interface Upstream {
  readonly kind: 'oidc' | 'saml';
  /** Names this upstream among all that may have been configured: sign-ins of another are over. Such as `oidc ISSUER`. */
  readonly id: string;
  /**
   * Where the browser goes.
   * @throws ProviderError `upstream-unreachable`, `upstream-invalid`
   */
  begin(request: UpstreamRequest): Promise<{ readonly redirect: string; readonly keep: Json }>;
  /**
   * What came back to the callback. The broker has checked the state and the browser; everything in it is untrusted still.
   * @throws ProviderError `upstream-denied`, `upstream-invalid`, `upstream-unreachable`; its message is for the page
   */
  finish(answer: UpstreamAnswer): Promise<UpstreamIdentity>;
  /**
   * Whether the person still is one there, as far as it can be asked; called at each renewal of the sign-in, which ends after
   * `tokens.signInLifetime` in any case.
   * @throws ProviderError `upstream-denied`: no longer, the sign-in ends; any other error may pass, and nothing is lost
   */
  readonly renew: UpstreamRenewal;
  /**
   * A message of the upstream itself that somebody's session has ended there; null where there is no such thing.
   * @throws ProviderError `upstream-invalid`, `upstream-unreachable`
   */
  readonly endedSession: ((form: URLSearchParams) => Promise<EndedUpstreamSession>) | null;
  /**
   * What the upstream's operator needs to know of the relay, XML: served at `RELAY/idp/saml/metadata`. Absent where there is no
   * such document.
   * @throws ProviderError `upstream-invalid`, `upstream-unreachable`
   */
  readonly describe?: () => Promise<string>;
}

/**
 * @param keep stores a new `kept` at once: an upstream that rotates refresh tokens has used the old one up, whatever fails next
 */
export type UpstreamRenewal = (
  before: UpstreamIdentity,
  keep: (kept: Json) => Promise<void>,
) => Promise<UpstreamIdentity>;

export interface UpstreamRequest {
  /** 43 characters, unguessable: comes back as `state` or `RelayState`, by which the broker finds what was kept. */
  readonly state: string;
  /** `RELAY/idp/callback`. */
  readonly callbackUrl: string;
  /** What a step-up asks for: how recently the person must have signed in there, and how. */
  readonly step: { readonly maxAgeSeconds: number | null; readonly acr: string | null };
}

export interface UpstreamAnswer {
  readonly method: 'GET' | 'POST';
  /** Of the callback, with its query. */
  readonly url: URL;
  /** Null for GET. */
  readonly form: URLSearchParams | null;
  /** What `begin` gave. */
  readonly keep: Json;
}

export interface UpstreamIdentity {
  /** With `subject`, the principal. */
  readonly issuer: string;
  readonly subject: string;
  /** Verified there; null when it told none. */
  readonly email: string | null;
  readonly groups: readonly string[];
  /** When the person proved there who they are; null when it does not say. */
  readonly authTimeMs: number | null;
  readonly acr: string | null;
  readonly amr: readonly string[];
  /** Its session (`sid`, `SessionIndex`), for `endedSession`; null when it names none. */
  readonly session: string | null;
  /** When the session ends there by its own word; absent or null: not before `tokens.signInLifetime`. */
  readonly endsAtMs?: number | null;
  /** What the upstream signed, exactly as it came: for the record. */
  readonly proof: UpstreamProof;
  /** What `renew` needs, such as a refresh token. The broker encrypts it at rest. */
  readonly kept: Json;
}

export interface UpstreamProof {
  readonly kind: 'id-token' | 'saml-response';
  readonly text: string;
}

/** At least one is not null. A session alone ends that one; a subject alone ends all of that person's. */
export interface EndedUpstreamSession {
  readonly issuer: string;
  readonly subject: string | null;
  readonly session: string | null;
}
