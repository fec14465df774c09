/** Why policy decides as it does, for operators: the question that a session or a command would ask, asked without one. */
import type { Authentication, StepUp } from '../model/authentication.ts';
import type { CommandFacts } from '../model/command-facts.ts';
import type { Principal } from '../model/principal.ts';
import type { NeededGroup } from '../model/review.ts';
import type { Policies } from '../policy/policies.ts';
import { placeOf } from '../policy/source.ts';
import { openClassifier } from '../protocols/postgres/sql/classifier.ts';
import type { DescribedStatement, SqlClassifier } from '../protocols/postgres/sql/classifier.ts';
import type { ShellClassifier } from '../protocols/ssh/shell/classifier.ts';
import type { RelayConfig } from './config/config.ts';
import type { TargetConfig } from './config/targets.ts';
import { parseDurationMs } from './config/units.ts';
import { RelayError } from './error.ts';
import { providerIssuer } from './idp/provider.ts';
import { loadPolicies } from './policies-in-force.ts';
import { openShellClassifier } from './shell-grammar.ts';
import type { User } from './state/users.ts';

/** The question, as flags of `hoop policy check` and files of `hoop policy test` say it. Everything is the operator's own. */
export interface Question {
  readonly target: string;
  /** A person of the embedded provider; null: `as` is a subject of the issuer. */
  readonly user: User | null;
  readonly as?: string | undefined;
  readonly email?: string | undefined;
  /** Instead of the user's own. */
  readonly group?: readonly string[] | undefined;
  readonly kind: Principal['kind'];
  readonly from: string;
  readonly at?: string | undefined;
  readonly duration?: string | undefined;
  readonly reason?: string | undefined;
  readonly task?: string | undefined;
  /** How long ago the person was authenticated, such as `10m`; absent: the provider does not say. */
  readonly authAge?: string | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[] | undefined;
  /** The command; absent: may a session be opened? */
  readonly sql?: string | undefined;
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
  readonly decision: 'allow' | 'deny' | 'review';
  /** What was decided: for a command that already fails at opening the session, `connect`. */
  readonly action: 'connect' | 'execute';
  /** Who was asked about, for people to read. */
  readonly principal: string;
  readonly policies: readonly ExplainedPolicy[];
  /** Ids of policies that failed to evaluate. */
  readonly errors: readonly string[];
  /** Who has to approve, all of them; empty unless `review`. */
  readonly needed: readonly NeededGroup[];
  /** Of a denial that a fresh sign-in would lift: what it has to bring. */
  readonly stepUp: StepUp | null;
  /** What the command does, as a whole and by statement; null without one. */
  readonly command: {
    readonly facts: CommandFacts;
    readonly statements: readonly DescribedStatement[];
  } | null;
}

/** A configuration's policies, ready for questions. */
export class Explainer {
  readonly #config: RelayConfig;
  readonly #policies: Policies;
  readonly #classifier: SqlClassifier;
  readonly #shell: ShellClassifier;

  private constructor(
    config: RelayConfig,
    policies: Policies,
    classifiers: [SqlClassifier, ShellClassifier],
  ) {
    this.#config = config;
    this.#policies = policies;
    [this.#classifier, this.#shell] = classifiers;
  }

  /** @throws PolicyError, ConfigError `config-exposed` */
  static async open(config: RelayConfig): Promise<Explainer> {
    return new Explainer(
      config,
      loadPolicies(config),
      await Promise.all([openClassifier(), openShellClassifier()]),
    );
  }

  /** @throws RelayError `target-unknown`, `request-invalid` */
  explain(question: Question): Explanation {
    const target = [...this.#config.targets.values()].find(({ name }) => name === question.target);
    if (target === undefined)
      throw new RelayError('target-unknown', `the configuration has no target ${question.target}`);
    const principal = principalOf(this.#config, question);
    const circumstances = circumstancesOf(this.#config, question);
    const connect = this.#policies.connect(principal, target, circumstances);
    const asked = { principal: nameOf(principal), command: null, needed: [] };
    if (question.sql === undefined || connect.decision === 'deny') {
      const { decision, policies, errors, stepUp } = connect;
      return { ...asked, action: 'connect', decision, policies: this.#explained(policies), errors, stepUp };
    }
    return { ...asked, ...this.#explainCommand(principal, target, circumstances, question.sql) };
  }

  close(): void {
    this.#policies.close();
  }

  #explainCommand(
    principal: Principal,
    target: TargetConfig,
    circumstances: ReturnType<typeof circumstancesOf>,
    sql: string,
  ): Omit<Explanation, 'principal'> {
    const bytes = Buffer.from(sql);
    const shell = target.protocol === 'ssh';
    const facts = (shell ? this.#shell : this.#classifier).classify(bytes);
    const { kind, policies, needed, errors, stepUp } = this.#policies.execute(principal, target, {
      ...circumstances,
      facts,
    });
    return {
      action: 'execute',
      decision: kind,
      policies: this.#explained(policies),
      errors,
      needed,
      stepUp,
      command: { facts, statements: shell ? [] : this.#classifier.describe(bytes) },
    };
  }

  #explained(ids: readonly string[]): ExplainedPolicy[] {
    return ids.flatMap((id) => {
      const policy = this.#policies.policy(id);
      if (policy === null) return [];
      const { line } = placeOf(policy.file.text, policy.offset);
      return [{ id, effect: policy.effect, file: policy.file.name, line, text: policy.text }];
    });
  }
}

function circumstancesOf(config: RelayConfig, question: Question) {
  const { defaultDurationMs, maxDurationMs } = config.sessions;
  const durationMs = question.duration === undefined ? defaultDurationMs : parseDurationMs(question.duration);
  const timeMs = question.at === undefined ? Date.now() : Date.parse(question.at);
  if (durationMs === null || Number.isNaN(timeMs))
    throw new RelayError('request-invalid', 'the duration is no duration, or the time is no time', {
      hint: 'for example 1h30m, and 2026-11-20T08:00:00Z',
    });
  return {
    timeMs,
    sourceAddress: question.from,
    authentication: authenticationOf(question, timeMs),
    durationSeconds: Math.floor(Math.min(durationMs, maxDurationMs) / 1000),
    reason: question.reason ?? null,
    task: question.task ?? null,
  };
}

function authenticationOf({ authAge, acr, amr }: Question, timeMs: number): Authentication {
  const ageMs = authAge === undefined ? undefined : parseDurationMs(authAge);
  if (ageMs === null)
    throw new RelayError('request-invalid', 'the age of the sign-in is no duration', {
      hint: 'for example 90s or 10m',
    });
  return { timeMs: ageMs === undefined ? null : timeMs - ageMs, acr: acr ?? null, amr: amr ?? [] };
}

function principalOf(config: RelayConfig, { user, as, email, group, kind }: Question): Principal {
  const groups = [...new Set(group ?? user?.groups ?? [])].toSorted();
  return {
    kind,
    issuer: issuerOf(config, kind),
    subject: user?.id ?? as ?? 'nobody',
    email: user?.email ?? email ?? null,
    groups,
    actsFor: null,
  };
}

/** Of people who sign in here, and of service accounts. That of a SAML provider stands in its metadata alone: the relay's own then. */
function issuerOf({ identity, publicUrl }: RelayConfig, kind: Principal['kind']): string {
  if (kind !== 'person') return publicUrl;
  if (identity.kind === 'oidc') return identity.issuer;
  return identity.upstream?.kind === 'oidc' ? identity.upstream.issuer : providerIssuer(publicUrl);
}

const nameOf = ({ email, subject, groups }: Principal): string =>
  `${email ?? subject} (${groups.join(', ') || 'no groups'})`;
