/** Why policy decides as it does, for operators: the question that a request for a session would ask, asked without one. */
import type { Principal } from '../model/principal.ts';
import { Policies } from '../policy/policies.ts';
import { placeOf } from '../policy/source.ts';
import type { RelayConfig } from './config/config.ts';
import { parseDurationMs } from './config/units.ts';
import { RelayError } from './error.ts';
import { providerIssuer } from './idp/provider.ts';
import type { User } from './state/users.ts';

/** The question, as flags of `hoop policy check` say it. Everything is the operator's own. */
export interface ConnectQuestion {
  readonly target: string;
  /** A person of the embedded provider; null: `as` is a subject of the issuer. */
  readonly user: User | null;
  readonly as?: string | undefined;
  /** Instead of the user's own. */
  readonly group?: readonly string[] | undefined;
  readonly kind: Principal['kind'];
  readonly from: string;
  readonly at?: string | undefined;
  readonly duration?: string | undefined;
  readonly reason?: string | undefined;
  readonly task?: string | undefined;
}

/** A policy that determined the decision, as it stands in its file. */
export interface ExplainedPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface Explanation {
  readonly decision: 'allow' | 'deny';
  /** Who was asked about, for people to read. */
  readonly principal: string;
  readonly policies: readonly ExplainedPolicy[];
  /** Ids of policies that failed to evaluate. */
  readonly errors: readonly string[];
}

/** @throws RelayError `target-unknown`, `request-invalid`; PolicyError */
export function explainConnect(config: RelayConfig, question: ConnectQuestion): Explanation {
  const target = [...config.targets.values()].find(({ name }) => name === question.target);
  if (target === undefined)
    throw new RelayError('target-unknown', `the configuration has no target ${question.target}`);
  const principal = principalOf(config, question);
  const durationMs =
    question.duration === undefined ? config.sessions.defaultDurationMs : parseDurationMs(question.duration);
  const timeMs = question.at === undefined ? Date.now() : Date.parse(question.at);
  if (durationMs === null || Number.isNaN(timeMs))
    throw new RelayError('request-invalid', '--duration is no duration, or --at is no time', {
      hint: 'for example --duration 1h30m --at 2026-11-20T08:00:00Z',
    });
  const policies = Policies.load(config.policies);
  const decision = policies.connect(principal, target, {
    timeMs,
    sourceAddress: question.from,
    durationSeconds: Math.floor(Math.min(durationMs, config.sessions.maxDurationMs) / 1000),
    reason: question.reason ?? null,
    task: question.task ?? null,
  });
  const explained = decision.policies.flatMap((id) => {
    const policy = policies.policy(id);
    if (policy === null) return [];
    const { line } = placeOf(policy.file.text, policy.offset);
    return [{ id, effect: policy.effect, file: policy.file.name, line, text: policy.text }];
  });
  policies.close();
  return {
    decision: decision.decision,
    principal: `${principal.email ?? principal.subject} (${principal.groups.join(', ') || 'no groups'})`,
    policies: explained,
    errors: decision.errors,
  };
}

function principalOf(config: RelayConfig, { user, as, group, kind }: ConnectQuestion): Principal {
  const groups = [...new Set(group ?? user?.groups ?? [])].toSorted();
  const { identity } = config;
  return {
    kind,
    issuer: identity.kind === 'embedded' ? providerIssuer(config.publicUrl) : identity.issuer,
    subject: user?.id ?? as ?? 'nobody',
    email: user?.email ?? null,
    groups,
  };
}
