/** Opening and ending sessions at the relay: what the person's key signs, and what comes back. */
import { makeSignedRequest } from '../identity/signed-request.ts';
import { isSessionId } from '../model/ids.ts';
import { systemClock } from '../system/clock.ts';
import {
  AgentDelegateClaims,
  DelegationAnswer,
  SessionAnswer,
  SessionKillClaims,
  SessionOpenClaims,
} from '../wire/api.ts';
import type { Account } from './account.ts';
import { AgentError } from './error.ts';

/** What a person asks for; the relay decides. */
export interface SessionWish {
  readonly target: string;
  readonly reason: string | null;
  /** Name of the workflow that the session's commands belong to. */
  readonly task: string | null;
  /** Null for the relay's default. */
  readonly durationSeconds: number | null;
}

/** The part of `Account` that sessions need. */
export type SessionAccount = Pick<Account, 'relay' | 'client' | 'signIn'>;

/** @throws RelayProblem, AgentError, IdentityError */
export async function openSession(account: SessionAccount, wish: SessionWish): Promise<SessionAnswer> {
  const claims = {
    v: 1 as const,
    action: 'session.open' as const,
    relay: account.relay,
    target: wish.target,
    ...(wish.reason !== null && { reason: wish.reason }),
    ...(wish.task !== null && { task: wish.task }),
    ...(wish.durationSeconds !== null && { durationSeconds: wish.durationSeconds }),
  };
  // Checked here as well, so that a name or a reason that cannot be is told before anything is sent.
  const checked = SessionOpenClaims.omit({ iat: true, jti: true }).safeParse(claims);
  if (!checked.success) throw invalid(checked.error.issues[0]?.path.join('.') ?? 'request');
  const key = await account.signIn.key();
  const request = await makeSignedRequest<SessionOpenClaims>(key, claims, systemClock);
  return account.client.post('/v1/sessions', { request }, SessionAnswer);
}

/**
 * Ends one's own session in an orderly way; needs no signature, since it takes nothing from anybody else.
 * @throws RelayProblem, AgentError
 */
export async function endSession(account: SessionAccount, session: string): Promise<void> {
  await account.client.send('DELETE', `/v1/sessions/${session}`);
}

/** Ends anybody's session, as far as policy lets the caller. @throws RelayProblem, AgentError */
export async function killSession(
  account: SessionAccount,
  session: string,
  reason: string | null,
): Promise<void> {
  if (!isSessionId(session)) throw invalid('session');
  const claims = {
    v: 1 as const,
    action: 'session.kill' as const,
    relay: account.relay,
    session,
    ...(reason !== null && { reason }),
  };
  if (!SessionKillClaims.omit({ iat: true, jti: true }).safeParse(claims).success) throw invalid('reason');
  const request = await makeSignedRequest<SessionKillClaims>(await account.signIn.key(), claims, systemClock);
  await account.client.send('POST', `/v1/sessions/${session}/kill`, { request });
}

/** What a person lets an agent do for them. */
export interface DelegationWish {
  /** Name of the agent's account. */
  readonly agent: string;
  readonly durationSeconds: number;
  /** Empty: wherever policy lets it. */
  readonly targets: readonly string[];
  readonly task: string | null;
  readonly reason: string | null;
}

/** @returns the token for the agent: secret @throws RelayProblem, AgentError */
export async function delegateToAgent(
  account: SessionAccount,
  { agent, durationSeconds, targets, task, reason }: DelegationWish,
): Promise<DelegationAnswer> {
  const claims = {
    v: 1 as const,
    action: 'agent.delegate' as const,
    relay: account.relay,
    agent,
    durationSeconds,
    ...(targets.length > 0 && { targets: [...targets] }),
    ...(task !== null && { task }),
    ...(reason !== null && { reason }),
  };
  const checked = AgentDelegateClaims.omit({ iat: true, jti: true }).safeParse(claims);
  if (!checked.success) throw invalid(checked.error.issues[0]?.path.join('.') ?? 'request');
  const key = await account.signIn.key();
  const request = await makeSignedRequest<AgentDelegateClaims>(key, claims, systemClock);
  return account.client.post('/v1/delegations', { request }, DelegationAnswer);
}

function invalid(field: string): AgentError {
  return new AgentError('agent-request-invalid', `this ${field} cannot be asked for`, {
    hint: 'names are lower-case letters, digits and dashes; texts hold no control characters',
  });
}
