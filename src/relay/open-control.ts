/** What a running relay does for those who ask at its control socket. */
import type { RelayConfig } from './config/config.ts';
import { serveControl, type ControlServer } from './control.ts';
import type { RelayEvidence } from './evidence.ts';
import { providerIssuer } from './idp/provider.ts';
import type { LogKeys } from './log-keys.ts';
import type { RelayLogger } from './logging.ts';
import type { PoliciesInForce } from './policies-in-force.ts';
import { handOver } from './rotate.ts';
import type { Retention } from './retention/retention.ts';
import type { BreakGlass } from './space/break-glass.ts';
import { identitiesOf, type PeopleOptions } from './space/people.ts';
import type { State } from './state/state.ts';

export interface ControlParts {
  readonly config: RelayConfig;
  readonly logger: RelayLogger;
  readonly policies: PoliciesInForce;
  readonly evidence: Pick<RelayEvidence, 'log'>;
  readonly logKeys: LogKeys;
  readonly state: State;
  readonly breakGlass: BreakGlass;
  readonly retention: Retention;
}

/** Null: there is none. Without it the relay works, and SIGHUP reloads. */
export async function openControl(parts: ControlParts): Promise<ControlServer | null> {
  const { config, logger, policies, evidence, logKeys, breakGlass, retention } = parts;
  const people = peopleOf(parts);
  try {
    const control = await serveControl(config.dataDir, {
      reload: () => policies.reload(),
      rotateLogKey: async () => {
        const rotated = await handOver(evidence.log, logKeys);
        logger.info('log key rotated', { entry: rotated.entry });
        return rotated;
      },
      breakGlass: async ({ people: names, reason, operator, forSeconds }) => {
        const identities = await identitiesOf(names, people);
        return breakGlass.open({ reason, operator, people: identities, forMs: forSeconds * 1000 });
      },
      erase: ({ scope, what, operator }) => retention.erase(scope, what, operator),
      placeHold: async ({ scope, operator }) => (await retention.placeHold(scope, operator)).hold,
      releaseHold: async ({ hold, operator }) => {
        await retention.releaseHold(hold, operator);
        return hold;
      },
    });
    if (control === null) logger.warn('no control socket', { reason: 'dataDir is too long for its name' });
    return control;
  } catch (error) {
    logger.warn('no control socket', {}, error);
    return null;
  }
}

function peopleOf({ config: { identity, publicUrl }, state }: ControlParts): PeopleOptions {
  return identity.kind === 'embedded'
    ? { issuer: providerIssuer(publicUrl), byEmail: (email) => state.users.byEmail(email) }
    : { issuer: identity.issuer, byEmail: null };
}
