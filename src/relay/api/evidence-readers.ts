/**
 * Who may read evidence: whom policy lets `readEvidence`, of one session or of everything; and who may have its sealed
 * originals: whom it lets `unseal`.
 */
import type { FastifyRequest } from 'fastify';
import type { Authenticated } from '../../identity/authenticator.ts';
import { IdentityError } from '../../identity/error.ts';
import type { ReplayCache } from '../../identity/replay.ts';
import { verifySignedRequest } from '../../identity/signed-request.ts';
import { isSessionId, isTargetName } from '../../model/ids.ts';
import type { StepUp } from '../../model/authentication.ts';
import type { Decision } from '../../policy/decision.ts';
import type { SessionResource } from '../../policy/entities.ts';
import type { Policies } from '../../policy/policies.ts';
import { relayId } from '../../policy/schema.ts';
import type { LoginId } from '../../model/ids.ts';
import type { Clock } from '../../system/clock.ts';
import type { RelayConfig } from '../config/config.ts';
import type { SessionSummary } from '../../evidence/read/sessions.ts';
import { EvidenceReadClaims, isAskedFor, signedReadHeader } from '../../wire/audit.ts';
import { ResealClaims } from '../../wire/reseal.ts';
import { RelayError } from '../error.ts';
import type { EvidenceReader } from './audit.ts';

export interface EvidenceReadersOptions {
  readonly config: Pick<RelayConfig, 'targets' | 'publicUrl'>;
  readonly policies: () => Policies;
  readonly clock: Clock;
  readonly replay: ReplayCache;
  /** @throws IdentityError */
  readonly authenticate: (request: FastifyRequest) => Promise<Authenticated>;
  /** Whether a sign-in still counts. */
  readonly isLive: (login: LoginId) => Promise<boolean>;
}

/** An auditor, who may be let seal originals anew. */
export interface Auditor extends EvidenceReader {
  /** To other recipients than they are sealed to. */
  mayReseal(session: SessionSummary): boolean;
  /** @param jws untrusted. @throws IdentityError `signed-request-…` */
  signedReseal(jws: string): Promise<ResealClaims>;
}

/** Authenticates a caller as a reader of evidence. */
export function evidenceReaders(options: EvidenceReadersOptions) {
  const { config, policies, clock, replay, authenticate } = options;
  return async (request: FastifyRequest): Promise<Auditor> => {
    const caller = await authenticate(request);
    const { principal, login, authentication } = caller;
    const circumstancesNow = () => ({ timeMs: clock.wallMs(), sourceAddress: request.ip, authentication });
    let stepUp: StepUp | null = null;
    const allows = (
      decision: Decision,
      action: 'readEvidence' | 'unseal' | 'reseal',
      resource: string,
    ): boolean => {
      stepUp = decision.stepUp;
      return decision.allows(action, principal, resource);
    };
    return {
      principal,
      login,
      isSignedIn: () => options.isLive(login),
      signed: async (action, asked) => {
        const { jws, claims } = await readSigned(options, caller, request);
        if (isAskedFor(claims, action, asked)) return jws;
        throw new RelayError('request-invalid', 'The signed request asks for something else than the call.');
      },
      get stepUp() {
        return stepUp;
      },
      mayUnseal: (session) => {
        const resource = sessionResource(config, session);
        if (resource === null) return false;
        const decision = policies().unseal(principal, resource, circumstancesNow());
        return allows(decision, 'unseal', resource.session);
      },
      mayReseal: (session) => {
        const resource = sessionResource(config, session);
        if (resource === null) return false;
        const decision = policies().reseal(principal, resource, circumstancesNow());
        return allows(decision, 'reseal', resource.session);
      },
      signedReseal: (jws) => {
        const { publicJwk, jkt } = caller;
        const relay = config.publicUrl;
        return verifySignedRequest(jws, { schema: ResealClaims, publicJwk, jkt, relay, clock, replay });
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

async function readSigned(
  { config, clock, replay }: EvidenceReadersOptions,
  { publicJwk, jkt }: Authenticated,
  { headers }: FastifyRequest,
): Promise<{ jws: string; claims: EvidenceReadClaims }> {
  const jws = headers[signedReadHeader];
  if (typeof jws !== 'string' || jws === '')
    throw new IdentityError('signed-request-missing', 'Whoever reads evidence signs what they ask for.', {
      hint: 'upgrade hoop',
    });
  const schema = EvidenceReadClaims;
  const verification = { schema, publicJwk, jkt, relay: config.publicUrl, clock, replay };
  return { jws, claims: await verifySignedRequest(jws, verification) };
}

/** A target that is no longer configured has no groups. Null: what the log names is no session of a target. */
function sessionResource(
  config: EvidenceReadersOptions['config'],
  { session, target: name, protocol, principal: owner }: SessionSummary,
): SessionResource | null {
  if (!isSessionId(session) || !isTargetName(name)) return null;
  return { session, target: { name, protocol, groups: config.targets.get(name)?.groups ?? [] }, owner };
}
