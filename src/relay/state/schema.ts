/**
 * The tables, as both databases have them. Times are milliseconds since the epoch, JSON is text, truth is 0 or 1: what
 * means the same in SQLite and in PostgreSQL.
 */
export interface UserRow {
  /** Subject (`sub`) at the embedded provider; ULID. */
  id: string;
  /** Lower case; unique. */
  email: string;
  /** JSON array of strings. */
  groups: string;
  password_hash: string;
  disabled: number;
  created_at: number;
  updated_at: number;
}

/** What the embedded provider keeps: grants, codes, tokens (tokens under the digest of their value). */
export interface ArtefactRow {
  model: string;
  id: string;
  payload: string;
  grant_id: string | null;
  account_id: string | null;
  user_code: string | null;
  uid: string | null;
  consumed_at: number | null;
  expires_at: number;
}

export interface LoginRow {
  id: string;
  kind: string;
  issuer: string;
  subject: string;
  email: string | null;
  groups: string;
  jkt: string;
  public_jwk: string;
  created_at: number;
  renewed_at: number;
  valid_until: number;
  ended_at: number | null;
  ended_reason: string | null;
  /** JSON of an `OperatorAct`; null: no operator ended it. */
  ended_by: string | null;
  /** 1: ended by a process that keeps no log, so that a relay has to tell it; 2: one is about to; 0: told. */
  end_untold: number;
  auth_time: number | null;
  acr: string | null;
  /** JSON array of strings. */
  amr: string;
  /** The `login` entry that told it last, JSON; each log that names the login tells it first. */
  entry: string;
  /** JSON of the person for whom an agent acts, and who that is, to find it by. */
  acts_for: string | null;
  acts_for_issuer: string | null;
  acts_for_subject: string | null;
  /** The person's login under which an agent acts. */
  parent_id: string | null;
  /** JSON of what the login is limited to; null: nothing but policy. */
  scope: string | null;
}

export interface ServiceAccountRow {
  /** Subject of its principal; never used again. */
  id: string;
  name: string;
  kind: string;
  /** JSON array of strings. */
  groups: string;
  disabled: number;
  expires_at: number | null;
  created_at: number;
}

/** A key or a secret of a service account; two are valid while it is being rotated. */
export interface ServiceCredentialRow {
  id: string;
  account_id: string;
  /** `key` or `secret`. */
  kind: string;
  /** The public JWK, or the SHA-256 of the secret, hex. */
  value: string;
  created_at: number;
  /** Null: until it is rotated. */
  valid_until: number | null;
}

/** A person's word that an agent may act for them. */
export interface DelegationRow {
  id: string;
  /** SHA-256 of the token, hex. */
  digest: string;
  /** The person's login. */
  login_id: string;
  account_id: string;
  scope: string;
  /** The compact JWS that the person signed. */
  request: string;
  expires_at: number;
}

export interface SessionRow {
  id: string;
  login_id: string;
  target: string;
  process_id: string;
  reason: string | null;
  task: string | null;
  opened_at: number;
  deadline: number;
  closed_at: number | null;
  outcome: string | null;
  kill_requested_at: number | null;
  /** The compact JWS that asked for it, and the login whose key signed it. */
  kill_request: string | null;
  kill_login_id: string | null;
  /** JSON of the `OperatorAct` that asked instead. */
  kill_operator: string | null;
}

/** A held command on which people decide. Texts are those of the record: masked. */
export interface ReviewRow {
  id: string;
  session_id: string;
  /** The relay process that holds the command: it alone lets decisions count. */
  process_id: string;
  state: string;
  kind: string;
  issuer: string;
  subject: string;
  email: string | null;
  groups: string;
  /** As in `LoginRow`. */
  acts_for: string | null;
  target: string;
  reason: string | null;
  task: string | null;
  /** Base64 of the bytes. */
  command_text: string;
  parameters: string | null;
  parameter_types: string;
  encoding: string;
  facts: string;
  policies: string;
  needed: string;
  digest: string;
  created_at: number;
  expires_at: number;
  /** Place in the order of all changes to reviews. */
  changed: number;
}

export interface ReviewDecisionRow {
  review_id: string;
  kind: string;
  issuer: string;
  subject: string;
  email: string | null;
  groups: string;
  /** As in `LoginRow`. */
  acts_for: string | null;
  login_id: string;
  decision: string;
  reason: string | null;
  /** The compact JWS. */
  request: string;
  decided_at: number;
  /** `proposed`, `counted`, or the code with which it was refused. */
  standing: string;
}

/** A sign-in that an upstream of the embedded provider vouches for. */
export interface UpstreamSignInRow {
  id: string;
  upstream: string;
  issuer: string;
  subject: string;
  session: string | null;
  /** Encrypted JSON. */
  identity: string;
  login_id: string | null;
  created_at: number;
  expires_at: number;
  /** Who renews it now, and until when nobody else may. */
  leased_by: string | null;
  leased_until: number;
}

export interface Tables {
  users: UserRow;
  service_accounts: ServiceAccountRow;
  service_credentials: ServiceCredentialRow;
  delegations: DelegationRow;
  artefacts: ArtefactRow;
  logins: LoginRow;
  upstream_sign_ins: UpstreamSignInRow;
  sessions: SessionRow;
  reviews: ReviewRow;
  review_decisions: ReviewDecisionRow;
  counters: { name: string; value: number };
  replay: { id: string; expires_at: number };
  attempts: { key: string; window_started_at: number; count: number };
  settings: { key: string; value: string };
}
