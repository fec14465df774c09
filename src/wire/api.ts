/**
 * The relay's HTTP API, as schemas: the relay validates requests with them and derives its OpenAPI document, the CLI
 * validates answers. Version 1; unknown keys in requests are refused, in answers ignored.
 *
 * Every call but discovery, health, metrics and `/log/…` carries `Authorization: DPoP <token>` and a `DPoP` proof
 * (RFC 9449) with the relay's nonce; `POST /v1/login` carries the proof alone. Errors are RFC 9457 problem documents.
 */
import { z } from 'zod';

const rfc3339 = z.iso.datetime({ offset: false, precision: 3 });
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const printable = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}]*$/u, 'control characters are not allowed');

/** `GET /.well-known/hoop`: all that a CLI needs to know of a relay it has never met. */
export const Discovery = z.object({
  version: z.literal(1),
  /** Base URL of the API, without trailing slash; proofs are made for it. */
  relay: z.url(),
  /** OpenID provider to sign in at, its client id and scopes for the device grant. */
  issuer: z.url(),
  clientId: z.string().min(1),
  /** Where the provider gives even public clients one (Google): no secret, but asked for. */
  clientSecret: z.string().min(1).max(4096).optional(),
  scopes: z.array(z.string()).min(1),
  log: z.object({ origin: z.string(), vkey: z.string(), url: z.url() }),
});
export type Discovery = z.infer<typeof Discovery>;

export const PrincipalView = z.object({
  kind: z.enum(['person', 'service', 'agent']),
  issuer: z.string(),
  subject: z.string(),
  email: z.string().nullable(),
  groups: z.array(z.string()),
  /** The person on whose behalf an agent acts. */
  actsFor: z
    .object({
      issuer: z.string(),
      subject: z.string(),
      email: z.string().nullable(),
      groups: z.array(z.string()).default([]),
    })
    .nullable()
    .default(null),
});
export type PrincipalView = z.infer<typeof PrincipalView>;

/** The login that this one renews; absent at the first sign-in. When it lapsed meanwhile the answer names a new one. */
const renews = ulid.optional();
const token = z.string().min(1).max(65_536);

/**
 * `POST /v1/login`: a proof of who one is against the relay's own token, bound to the key of the DPoP proof. A person brings
 * an ID token; a machine an assertion (the JWT of a trusted issuer; of a service account by its key, RFC 7523; the token of
 * a delegation), or a service account's name and secret.
 */
export const IdTokenLogin = z.strictObject({ idToken: token, renews });
export const MachineLogin = z.union([
  z.strictObject({ assertion: token, renews }),
  z.strictObject({ account: name, clientSecret: z.string().min(1).max(256), renews }),
]);
export type MachineLogin = z.infer<typeof MachineLogin>;
export const LoginRequest = z.union([IdTokenLogin, MachineLogin]);
export type LoginRequest = z.infer<typeof LoginRequest>;
export const LoginAnswer = z.object({
  login: ulid,
  accessToken: z.string(),
  /** Lifetime of the access token from now; the login ends unless it is renewed before. */
  expiresInSeconds: z.number().positive(),
  principal: PrincipalView,
});
export type LoginAnswer = z.infer<typeof LoginAnswer>;

/** `GET /v1/me`. */
export const MeAnswer = z.object({
  login: ulid,
  principal: PrincipalView,
  /** The key of the login (RFC 7638), and who says that it is the person's: the issuer's token, or the relay alone. */
  key: z
    .object({ thumbprint: z.string(), binding: z.enum(['cnf-by-issuer', 'bound-by-relay']) })
    .nullable()
    .default(null),
  /** When and how the person proved who they are, as the provider says; null: an older relay. */
  authentication: z
    .object({ time: rfc3339.nullable(), acr: z.string().nullable(), amr: z.array(z.string()) })
    .nullable()
    .default(null),
});
export type MeAnswer = z.infer<typeof MeAnswer>;

export const TargetView = z.object({
  name,
  protocol: z.enum(['postgres', 'ssh']),
  description: z.string().nullable(),
  /** May the caller connect? Targets that the caller may not even see are not listed. */
  allowed: z.boolean(),
  database: z.string().nullable(),
});
export type TargetView = z.infer<typeof TargetView>;
export const TargetList = z.object({ targets: z.array(TargetView) });

/**
 * What the person's key signs (compact JWS, ES256, `typ` `hoop-request+jwt`, `kid` = RFC 7638 thumbprint) when a
 * session is opened or killed. The JWS goes into the log as it came. Canonical JSON (RFC 8785).
 */
export const SessionOpenClaims = z.strictObject({
  v: z.literal(1),
  action: z.literal('session.open'),
  relay: z.url(),
  target: name,
  reason: printable(1024).min(1).optional(),
  task: printable(128).min(1).optional(),
  /** Asked for; the relay grants at most its own maximum. */
  durationSeconds: z.int().min(1).max(604_800).optional(),
  iat: z.int(),
  jti: z.string().min(16).max(64),
});
export type SessionOpenClaims = z.infer<typeof SessionOpenClaims>;
export const SessionKillClaims = z.strictObject({
  v: z.literal(1),
  action: z.literal('session.kill'),
  relay: z.url(),
  session: ulid,
  reason: printable(1024).min(1).optional(),
  iat: z.int(),
  jti: z.string().min(16).max(64),
});
export type SessionKillClaims = z.infer<typeof SessionKillClaims>;

/** What a person signs to let an agent act for them. */
export const AgentDelegateClaims = z.strictObject({
  v: z.literal(1),
  action: z.literal('agent.delegate'),
  relay: z.url(),
  /** Name of a service account of kind `agent`. */
  agent: name,
  durationSeconds: z.int().min(60).max(3600),
  /** Where the agent may open sessions; absent: wherever policy lets it. */
  targets: z.array(name).min(1).max(50).optional(),
  /** The task that its sessions must name; absent: any, or none. */
  task: printable(128).min(1).optional(),
  reason: printable(1024).min(1).optional(),
  iat: z.int(),
  jti: z.string().min(16).max(64),
});
export type AgentDelegateClaims = z.infer<typeof AgentDelegateClaims>;

/** `POST /v1/delegations`, body `SignedRequest` of `AgentDelegateClaims`. */
export const DelegationAnswer = z.object({
  /** For the agent alone; the relay keeps its digest. */
  token: z.string(),
  agent: PrincipalView,
  expiresAt: rfc3339,
});
export type DelegationAnswer = z.infer<typeof DelegationAnswer>;

/** Beginning of the token of a delegation, for scanners of secrets too. */
export const delegationPrefix = 'hoop_dlg_';

/** Body of `POST /v1/delegations`, `POST /v1/sessions` and `POST /v1/sessions/:id/kill`. */
export const SignedRequest = z.strictObject({ request: z.string().max(16_384) });

export const SessionAnswer = z.object({
  session: ulid,
  target: name,
  protocol: z.enum(['postgres', 'ssh']),
  /** `PostgreSQL 15.18`. */
  server: z.string(),
  database: z.string().nullable(),
  /** Of an SSH target: the host key of the relay's end, as in known_hosts without the host. */
  ssh: z
    .object({ hostKey: z.string().regex(/^ssh-ed25519 [A-Za-z0-9+/]+=*$/) })
    .nullable()
    .default(null),
  deadline: rfc3339,
  /** The deadline again as a duration, for the monotonic clock of the receiver. */
  remainingMs: z.number().positive(),
});
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** `GET /v1/sessions`: live sessions that the caller may see (own ones; all with the right to kill). */
export const LiveSessionView = z.object({
  session: ulid,
  target: name,
  principal: PrincipalView,
  openedAt: rfc3339,
  deadline: rfc3339,
  reason: z.string().nullable(),
  task: z.string().nullable(),
});
export const LiveSessionList = z.object({ sessions: z.array(LiveSessionView) });

/** `maxAgeSeconds` null: of any age; `acr` null: of any class. */
export const StepUpView = z.object({
  maxAgeSeconds: z.int().nonnegative().nullable(),
  acr: z.string().max(256).nullable(),
});

/** RFC 9457 problem document; `code` is one of docs/errors.md. */
export const Problem = z.object({
  type: z.string().optional(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  hint: z.string().optional(),
  /** Of `step-up-required`: what the sign-in has to bring. */
  stepUp: StepUpView.optional(),
});
export type Problem = z.infer<typeof Problem>;
