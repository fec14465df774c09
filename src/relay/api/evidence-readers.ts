/**
 * Who may read evidence: whom policy lets `readEvidence`, of one session or of everything; and who may have its sealed
 * originals: whom it lets `unseal`.
 */
import type { FastifyRequest } from 'fastify';
import type { Authenticated } from '../../identity/authenticator.ts';
import { isSessionId, isTargetName } from '../../model/ids.ts';
import type { StepUp } from '../../model/authentication.ts';
import type { Decision } from '../../policy/decision.ts';
import type { SessionResource } from '../../policy/entities.ts';
import type { Policies } from '../../policy/policies.ts';
import { relayId } from '../../policy/schema.ts';
import type { Clock } from '../../system/clock.ts';
import type { RelayConfig } from '../config/config.ts';
import type { SessionSummary } from '../../evidence/read/sessions.ts';
import type { EvidenceReader } from './audit.ts';

export interface EvidenceReadersOptions {
  readonly config: Pick<RelayConfig, 'targets'>;
  readonly policies: () => Policies;
  readonly clock: Clock;
  /** @throws IdentityError */
  readonly authenticate: (request: FastifyRequest) => Promise<Authenticated>;
}

/** Authenticates a caller as a reader of evidence. */
export function evidenceReaders({ config, policies, clock, authenticate }: EvidenceReadersOptions) {
  return async (request: FastifyRequest): Promise<EvidenceReader> => {
    const { principal, authentication } = await authenticate(request);
    const circumstancesNow = () => ({ timeMs: clock.wallMs(), sourceAddress: request.ip, authentication });
    let stepUp: StepUp | null = null;
    const allows = (decision: Decision, action: 'readEvidence' | 'unseal', resource: string): boolean => {
      stepUp = decision.stepUp;
      return decision.allows(action, principal, resource);
    };
    return {
      principal,
      get stepUp() {
        return stepUp;
      },
      mayUnseal: (session) => {
        const resource = sessionResource(config, session);
        if (resource === null) return false;
        const decision = policies().unseal(principal, resource, circumstancesNow());
        return allows(decision, 'unseal', resource.session);
      },
      mayRead: (session) => {
        const circumstances = circumstancesNow();
        if (session === null)
          return allows(policies().readEvidence(principal, null, circumstances), 'readEvidence', relayId);
        const resource = sessionResource(config, session);
        if (resource === null) return false;
        const decision = policies().readEvidence(principal, resource, circumstances);
        return allows(decision, 'readEvidence', resource.session);
      },
    };
  };
}

/** A target that is no longer configured has no groups. Null: what the log names is no session of a target. */
function sessionResource(
  config: EvidenceReadersOptions['config'],
  { session, target: name, protocol, principal: owner }: SessionSummary,
): SessionResource | null {
  if (!isSessionId(session) || !isTargetName(name)) return null;
  return { session, target: { name, protocol, groups: config.targets.get(name)?.groups ?? [] }, owner };
}
