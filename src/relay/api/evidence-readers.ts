/** Who may read evidence: whom policy lets `readEvidence`, of one session or of everything. */
import type { FastifyRequest } from 'fastify';
import type { Authenticated } from '../../identity/authenticator.ts';
import { isSessionId, isTargetName } from '../../model/ids.ts';
import type { Policies } from '../../policy/policies.ts';
import { relayId } from '../../policy/schema.ts';
import type { Clock } from '../../system/clock.ts';
import type { RelayConfig } from '../config/config.ts';
import type { EvidenceReader } from './audit.ts';

export interface EvidenceReadersOptions {
  readonly config: Pick<RelayConfig, 'targets'>;
  readonly policies: () => Policies;
  readonly clock: Clock;
  /** @throws IdentityError */
  readonly authenticate: (request: FastifyRequest) => Promise<Authenticated>;
}

/** Authenticates a caller as a reader of evidence. A target that is no longer configured has no groups. */
export function evidenceReaders({ config, policies, clock, authenticate }: EvidenceReadersOptions) {
  return async (request: FastifyRequest): Promise<EvidenceReader> => {
    const { principal } = await authenticate(request);
    return {
      principal,
      mayRead: (session) => {
        const circumstances = { timeMs: clock.wallMs(), sourceAddress: request.ip };
        if (session === null)
          return policies()
            .readEvidence(principal, null, circumstances)
            .allows('readEvidence', principal, relayId);
        const { session: id, target: name, protocol, principal: owner } = session;
        if (!isSessionId(id) || !isTargetName(name)) return false;
        const target = { name, protocol, groups: config.targets.get(name)?.groups ?? [] };
        return policies()
          .readEvidence(principal, { session: id, target, owner }, circumstances)
          .allows('readEvidence', principal, id);
      },
    };
  };
}
