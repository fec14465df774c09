/** A set of policies inside Cedar's engine. What the engine throws or refuses becomes an answer: deny. */
import { randomUUID } from 'node:crypto';
import { preparsePolicySet, preparseSchema, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { PolicyError } from './error.ts';
import type { CedarRequest } from './request.ts';
import { schema } from './schema.ts';
import type { SourcePolicy } from './source.ts';

/** As Cedar says it: on deny `policies` are the forbids that spoke, none for the default. */
export interface EngineAnswer {
  readonly decision: 'allow' | 'deny';
  readonly policies: readonly string[];
  /** Ids of policies that failed to evaluate, or `engine`; Cedar skips those, so whoever asks has to deny. */
  readonly errors: readonly string[];
}

/** The engine itself failed. */
export const engineFailed: EngineAnswer = { decision: 'deny', policies: [], errors: ['engine'] };

const schemaName = 'hoop';

export class PolicyEngine {
  readonly #set = `hoop-${randomUUID()}`;

  /** @throws PolicyError `policy-invalid`; not expected of policies that were validated */
  constructor(policies: readonly SourcePolicy[]) {
    const texts = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
    for (const answer of [
      preparseSchema(schemaName, schema),
      preparsePolicySet(this.#set, { staticPolicies: texts }),
    ])
      if (answer.type === 'failure')
        throw new PolicyError('policy-invalid', answer.errors[0]?.message ?? 'policies do not parse');
  }

  /** Never throws. */
  ask({ call }: CedarRequest): EngineAnswer {
    try {
      const answer = statefulIsAuthorized({
        ...call,
        preparsedSchemaName: schemaName,
        validateRequest: true,
        preparsedPolicySetId: this.#set,
      });
      if (answer.type === 'failure') return engineFailed;
      const { decision, diagnostics } = answer.response;
      const errors = diagnostics.errors.map(({ policyId }) => policyId);
      return { decision, policies: diagnostics.reason, errors };
    } catch {
      return engineFailed;
    }
  }

  /** Frees the engine's copy; every later question is denied by default. */
  close(): void {
    preparsePolicySet(this.#set, { staticPolicies: {} });
  }
}
