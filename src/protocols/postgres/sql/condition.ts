/**
 * Whether a condition limits anything. A syntactic question: what names no column of the relation (`true`, `1 = 1`, or
 * nothing) holds for all rows or none; what is true for all rows by the data (`id > -1`) cannot be told. No literal's
 * value counts, so that texts that differ only in literals have the same answer.
 */
import { isList, isNode, listOf, namesOf, textOf, unwrap, type Tree, type TreeNode } from './tree.ts';

/** `target`: the relation's name and alias in this statement. True: it changes or removes a whole relation. */
export function isUnbounded(condition: Tree | undefined, target: ReadonlySet<string>): boolean {
  if (condition === undefined) return true;
  const logical = unwrap(condition, 'BoolExpr');
  if (logical !== null) {
    const parts = listOf(logical['args']);
    if (logical['boolop'] === 'OR_EXPR') return parts.some((part) => isUnbounded(part, target));
    return parts.every((part) => isUnbounded(part, target));
  }
  return isTautology(condition, target) || !namesColumn(condition, target);
}

/** `a = a` and its like. */
function isTautology(condition: Tree, target: ReadonlySet<string>): boolean {
  const comparison = unwrap(condition, 'A_Expr');
  const operator = namesOf(comparison?.['name']).at(-1) ?? '';
  if (!['=', '<=', '>='].includes(operator)) return false;
  const left = columnName(comparison?.['lexpr'], target);
  return left !== null && left === columnName(comparison?.['rexpr'], target);
}

/** A column as it is written, but for the target's own name before it; null: it is none. */
function columnName(tree: Tree | undefined, target: ReadonlySet<string>): string | null {
  const path = namesOf(unwrap(tree, 'ColumnRef')?.['fields']);
  if (path.length === 2 && target.has(path[0]!)) path.shift();
  return path.length === 0 ? null : JSON.stringify(path);
}

/** Some column in it may be the target's: unqualified, or qualified by its name. */
function namesColumn(tree: Tree | undefined, target: ReadonlySet<string>): boolean {
  if (isList(tree)) return tree.some((item) => namesColumn(item, target));
  if (!isNode(tree)) return false;
  if (tree['CurrentOfExpr'] !== undefined) return true;
  const column = unwrap(tree, 'ColumnRef');
  if (column !== null) return mayBeColumnOf(column, target);
  return Object.values(tree).some((part) => namesColumn(part, target));
}

function mayBeColumnOf(column: TreeNode, target: ReadonlySet<string>): boolean {
  const path = namesOf(column['fields']);
  const qualifier = path.length > 1 ? path.at(-2) : null;
  return qualifier === null || qualifier === undefined || target.has(qualifier) || path.length > 2;
}

/** The names under which a statement's target may be written in its condition. */
export function targetNames(relation: Tree | undefined): ReadonlySet<string> {
  const names = new Set<string>();
  if (!isNode(relation)) return names;
  const alias = relation['alias'];
  const name = textOf(isNode(alias) ? alias['aliasname'] : relation['relname']);
  if (name !== null) names.add(name);
  return names;
}
