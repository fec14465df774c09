/** What a policy's syntax tree (Cedar's JSON form) tells beyond its text: which actions it may speak for, what it reads. */
import type { ActionConstraint, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { effects } from '../model/command-facts.ts';
import { actions } from './schema.ts';
import type { Action } from './schema.ts';

/** The actions that a policy's head lets it speak for. The schema groups no actions, so `in` names them one by one. */
export function actionsOf({ action }: PolicyJson): readonly Action[] {
  const named = namedActions(action);
  return named === null ? actions : actions.filter((candidate) => named.includes(candidate));
}

/** Null: all. */
function namedActions(constraint: ActionConstraint): string[] | null {
  if (constraint.op === 'All') return null;
  const uids =
    'entities' in constraint ? constraint.entities : 'entity' in constraint ? [constraint.entity] : [];
  return uids.map((uid) => ('__entity' in uid ? uid.__entity.id : uid.id));
}

/** Attributes of the context that a policy looks at; null when it uses the context as a whole. */
export function contextReads(policy: PolicyJson): ReadonlySet<string> | null {
  const reads = new Set<string>();
  const whole = policy.conditions.some((clause) => readsWhole(clause, null, reads));
  return whole ? null : reads;
}

function readsWhole(node: unknown, parent: unknown, reads: Set<string>): boolean {
  if (Array.isArray(node)) return node.some((item) => readsWhole(item, node, reads));
  if (typeof node !== 'object' || node === null) return false;
  if ('Var' in node && node.Var === 'context') {
    const attribute = typeof parent === 'object' && parent !== null && 'attr' in parent ? parent.attr : null;
    if (typeof attribute !== 'string') return true;
    reads.add(attribute);
    return false;
  }
  return Object.values(node).some((child) => readsWhole(child, node, reads));
}

/**
 * Texts that a policy looks for among `context.effects` and that no effect is called: the schema cannot tell, and a
 * `forbid` on a misspelt effect would protect nothing.
 */
export function unknownEffects(policy: PolicyJson): readonly string[] {
  const known: readonly string[] = effects;
  return namedWith(policy, 'effects').filter(
    (effect): effect is string => typeof effect === 'string' && !known.includes(effect),
  );
}

/** Numbers that a policy compares `context.authAgeSeconds` with. */
export const agesNamed = (policy: PolicyJson): readonly number[] =>
  namedWith(policy, 'authAgeSeconds').filter((value) => typeof value === 'number');

/** Classes that a policy looks for in `context.acr`, as far as they can stand in `acr_values`, which blanks divide. */
export const acrsNamed = (policy: PolicyJson): readonly string[] =>
  namedWith(policy, 'acr').filter(
    (value): value is string => typeof value === 'string' && /^[\w.:/+~@-]{1,256}$/.test(value),
  );

/** Literals that a policy compares an attribute of the context with, each once. */
function namedWith(policy: PolicyJson, attribute: string): readonly unknown[] {
  const found = new Set<unknown>();
  collectCompared(policy.conditions, attribute, found);
  return [...found];
}

function collectCompared(node: unknown, attribute: string, found: Set<unknown>): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [operator, child] of Object.entries(node)) {
    if (/^(contains(All|Any)?|[=!]=|[<>]=?)$/.test(operator) && isBinary(child)) {
      if (isContext(child.left, attribute)) collectLiterals(child.right, found);
      if (isContext(child.right, attribute)) collectLiterals(child.left, found);
    }
    collectCompared(child, attribute, found);
  }
}

const isBinary = (node: unknown): node is { left: unknown; right: unknown } =>
  typeof node === 'object' && node !== null && 'left' in node && 'right' in node;

function isContext(node: unknown, attribute: string): boolean {
  if (typeof node !== 'object' || node === null || !('.' in node)) return false;
  const access = node['.'];
  if (typeof access !== 'object' || access === null || !('attr' in access) || !('left' in access))
    return false;
  const { attr, left } = access;
  return (
    attr === attribute && typeof left === 'object' && left !== null && 'Var' in left && left.Var === 'context'
  );
}

function collectLiterals(node: unknown, found: Set<unknown>): void {
  if (typeof node !== 'object' || node === null) return;
  if ('Value' in node) found.add(node.Value);
  if ('Set' in node && Array.isArray(node.Set)) for (const item of node.Set) collectLiterals(item, found);
}
