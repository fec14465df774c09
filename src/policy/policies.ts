/**
 * Who may do what, decided by Cedar policies (https://www.cedarpolicy.com): nothing is allowed that no `permit` names,
 * and one `forbid` outweighs every `permit`. This folder answers; it neither authenticates anybody (identity/) nor acts
 * on an answer (gate/). It opens no socket and reads no clock: time and address come with the request.
 *
 * Invariant: whatever goes wrong while a question is answered (a policy that fails to evaluate, a value that Cedar
 * refuses, the engine itself) is a denial. Whatever is wrong with the policies themselves is refused at start.
 */
import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import {
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { AuthorizationAnswer, DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import type { Principal } from '../model/principal.ts';
import { cedarRequest, shapeOf } from './request.ts';
import type { Circumstances, ConnectCircumstances, PolicyRequest } from './request.ts';
import type { SessionResource, TargetResource } from './entities.ts';
import { decide } from './decision.ts';
import type { Decision } from './decision.ts';
import { PolicyError, formatProblem } from './error.ts';
import type { PolicyProblem } from './error.ts';
import { placeOf, problemAt, splitPolicies } from './source.ts';
import type { PolicyText, SourcePolicy } from './source.ts';
import { schema } from './schema.ts';

/** Decisions kept; far more than live principals × targets × actions of one relay. */
const cacheEntries = 10_000;
const schemaName = 'hoop';

/** A validated set of policies. Immutable; a reload makes a new one. */
export class Policies {
  readonly #set = `hoop-${randomUUID()}`;
  readonly #policies: ReadonlyMap<string, SourcePolicy>;
  readonly #cache = new Map<string, Decision>();
  readonly #readTime: boolean;
  /** What Cedar remarks without calling it an error, `file:line:column: …`. */
  readonly warnings: readonly string[];

  private constructor(policies: readonly SourcePolicy[], warnings: readonly string[]) {
    this.#policies = new Map(policies.map((policy) => [policy.id, policy]));
    this.#readTime = policies.some((policy) => policy.readsTime);
    this.warnings = warnings;
    const texts = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
    const prepared = [
      preparseSchema(schemaName, schema),
      preparsePolicySet(this.#set, { staticPolicies: texts }),
    ];
    for (const answer of prepared)
      if (answer.type === 'failure')
        throw new PolicyError('policy-invalid', answer.errors[0]?.message ?? 'policies do not parse');
  }

  /**
   * Reads policy files.
   * @throws PolicyError `policy-unreadable`, `policy-invalid`
   */
  static load(files: readonly string[]): Policies {
    return Policies.parse(
      files.map((name) => {
        try {
          return { name, text: readFileSync(name, 'utf8') };
        } catch (cause) {
          throw new PolicyError('policy-unreadable', `cannot read the policy file ${name}`, { cause });
        }
      }),
    );
  }

  /**
   * Parses and validates policies. No file, or none with a policy in it, is valid and denies everything.
   * @throws PolicyError `policy-invalid` with every problem found
   */
  static parse(files: readonly PolicyText[]): Policies {
    const policies: SourcePolicy[] = [];
    const problems: PolicyProblem[] = [];
    for (const file of files) {
      const split = splitPolicies(file);
      policies.push(...split.policies);
      problems.push(...split.problems);
    }
    problems.push(...repeatedIds(policies));
    if (problems.length > 0) throw invalid(problems);
    const { errors, warnings } = validateAll(policies);
    if (errors.length > 0) throw invalid(errors);
    return new Policies(policies, warnings.map(formatProblem));
  }

  /** Ids of all policies, in order of the files. */
  get ids(): readonly string[] {
    return [...this.#policies.keys()];
  }

  /** A policy as written, for explanations; null when there is none of this id. */
  policy(id: string): SourcePolicy | null {
    return this.#policies.get(id) ?? null;
  }

  /** Answers one question. Never throws. */
  evaluate(request: PolicyRequest): Decision {
    if (this.#readTime) return this.#ask(request);
    const shape = shapeOf(request);
    const known = this.#cache.get(shape);
    if (known !== undefined) return known;
    const decision = this.#ask(request);
    if (this.#cache.size >= cacheEntries) this.#cache.delete(this.#cache.keys().next().value!);
    if (decision.errors.length === 0) this.#cache.set(shape, decision);
    return decision;
  }

  /** May this principal open a session at this target? */
  connect(principal: Principal, target: TargetResource, circumstances: ConnectCircumstances): Decision {
    return this.evaluate({ action: 'connect', principal, target, circumstances });
  }

  /** May this principal end this session? */
  kill(principal: Principal, session: SessionResource, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'kill', principal, session, circumstances });
  }

  /** May this principal read the record of a session, or, with null, of everything? */
  readEvidence(
    principal: Principal,
    session: SessionResource | null,
    circumstances: Circumstances,
  ): Decision {
    return this.evaluate({ action: 'readEvidence', principal, session, circumstances });
  }

  /** May this principal administer the relay? */
  administer(principal: Principal, circumstances: Circumstances): Decision {
    return this.evaluate({ action: 'administer', principal, circumstances });
  }

  /** Frees the engine's copy; every later question is denied. */
  close(): void {
    this.#cache.clear();
    preparsePolicySet(this.#set, { staticPolicies: {} });
  }

  #ask(request: PolicyRequest): Decision {
    let answer: AuthorizationAnswer;
    let resource: string;
    try {
      const call = cedarRequest(request);
      resource = call.id;
      answer = statefulIsAuthorized({
        ...call.call,
        preparsedSchemaName: schemaName,
        validateRequest: true,
        preparsedPolicySetId: this.#set,
      });
    } catch {
      return decide({ ...request, resource: '' }, { decision: 'deny', policies: [], errors: ['engine'] });
    }
    const decided = { principal: request.principal, action: request.action, resource };
    if (answer.type === 'failure')
      return decide(decided, { decision: 'deny', policies: [], errors: ['engine'] });
    const { decision, diagnostics } = answer.response;
    return decide(decided, {
      decision,
      policies: diagnostics.reason,
      errors: diagnostics.errors.map(({ policyId }) => policyId),
    });
  }
}

function invalid(problems: readonly PolicyProblem[]): PolicyError {
  const sorted = problems.toSorted(
    (a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column,
  );
  const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more)` : '';
  const first = sorted.slice(0, 1).map(formatProblem).join('');
  return new PolicyError('policy-invalid', `the policies cannot be used: ${first}${more}`, {
    problems: sorted,
    hint: 'check them with `hoop relay check`; docs/policy.md lists actions, entities and context',
  });
}

function repeatedIds(policies: readonly SourcePolicy[]): PolicyProblem[] {
  const first = new Map<string, SourcePolicy>();
  return policies.flatMap((policy) => {
    const earlier = first.get(policy.id);
    first.set(policy.id, earlier ?? policy);
    if (earlier === undefined) return [];
    const place = placeOf(earlier.file.text, earlier.offset);
    const message = `the id ${policy.id} is already used at ${earlier.file.name}:${place.line}`;
    return [{ file: policy.file.name, ...placeOf(policy.file.text, policy.offset), message }];
  });
}

/** Validation against the schema; a policy that can never apply is an error, because a `forbid` like that protects nothing. */
function validateAll(policies: readonly SourcePolicy[]): {
  errors: PolicyProblem[];
  warnings: PolicyProblem[];
} {
  const byId = new Map(policies.map((policy) => [policy.id, policy]));
  const answer = validate({
    schema,
    policies: { staticPolicies: Object.fromEntries(policies.map(({ id, text }) => [id, text])) },
  });
  if (answer.type === 'failure')
    throw new PolicyError('policy-invalid', answer.errors[0]?.message ?? 'invalid');
  const place = ({ policyId, error }: { policyId: string; error: DetailedError }): PolicyProblem => {
    const policy = byId.get(policyId)!;
    return problemAt(policy.file, policy, error);
  };
  const errors = answer.validationErrors.map(place);
  const failed = new Set(answer.validationErrors.map(({ policyId }) => policyId));
  const neverApplies = /policy is impossible|unable to find an applicable action/;
  const impossible = answer.validationWarnings.filter(({ error }) => neverApplies.test(error.message));
  for (const warning of impossible) {
    if (failed.has(warning.policyId)) continue;
    failed.add(warning.policyId);
    errors.push(place(warning));
  }
  const rest = answer.validationWarnings.filter((warning) => !impossible.includes(warning));
  return { errors, warnings: rest.map(place) };
}
