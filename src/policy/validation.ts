/** What makes policies unusable together: problems told all at once, repeated ids, what the schema does not allow. */
import { validate } from '@cedar-policy/cedar-wasm/nodejs';
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import { PolicyError, formatProblem } from './error.ts';
import type { PolicyProblem } from './error.ts';
import { placeOf, problemAt } from './source.ts';
import type { SourcePolicy } from './source.ts';
import { schema } from './schema.ts';

/** Every problem, in order of file and place. */
export function invalid(problems: readonly PolicyProblem[]): PolicyError {
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

/** A name stands for one policy. */
export function repeatedIds(policies: readonly SourcePolicy[]): PolicyProblem[] {
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
export function validateAll(policies: readonly SourcePolicy[]): {
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
