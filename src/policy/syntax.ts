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
  const found = new Set<string>();
  collectEffects(policy.conditions, found);
  const known: readonly string[] = effects;
  return [...found].filter((effect) => !known.includes(effect));
}

function collectEffects(node: unknown, found: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [operator, child] of Object.entries(node)) {
    if (/^(contains(All|Any)?|==|!=)$/.test(operator) && isBinary(child)) {
      if (isEffects(child.left)) collectTexts(child.right, found);
      if (isEffects(child.right)) collectTexts(child.left, found);
    }
    collectEffects(child, found);
  }
}

const isBinary = (node: unknown): node is { left: unknown; right: unknown } =>
  typeof node === 'object' && node !== null && 'left' in node && 'right' in node;

function isEffects(node: unknown): boolean {
  if (typeof node !== 'object' || node === null || !('.' in node)) return false;
  const access = node['.'];
  if (typeof access !== 'object' || access === null || !('attr' in access) || !('left' in access))
    return false;
  const { attr, left } = access;
  return (
    attr === 'effects' && typeof left === 'object' && left !== null && 'Var' in left && left.Var === 'context'
  );
}

function collectTexts(node: unknown, found: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  if ('Value' in node && typeof node.Value === 'string') found.add(node.Value);
  if ('Set' in node && Array.isArray(node.Set)) for (const item of node.Set) collectTexts(item, found);
}
