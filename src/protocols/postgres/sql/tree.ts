/**
 * PostgreSQL's parse tree as libpg-query writes it: JSON, `{"SelectStmt": {…}}` where the grammar has a `Node *`, the
 * bare fields where it has a pointer to one kind of node. Fields that hold 0, false or nothing are left out.
 */
export type Tree = string | number | boolean | null | readonly Tree[] | TreeNode;
export interface TreeNode {
  readonly [field: string]: Tree | undefined;
}

export const isNode = (tree: Tree | undefined): tree is TreeNode =>
  typeof tree === 'object' && tree !== null && !Array.isArray(tree);

export const isList = (tree: Tree | undefined): tree is readonly Tree[] => Array.isArray(tree);

export const listOf = (tree: Tree | undefined): readonly Tree[] => (isList(tree) ? tree : []);

export const textOf = (tree: Tree | undefined): string | null => (typeof tree === 'string' ? tree : null);

/** The node inside `{kind: node}`; null when the tree is something else. */
export function unwrap(tree: Tree | undefined, kind: string): TreeNode | null {
  if (!isNode(tree)) return null;
  const inner = tree[kind];
  return isNode(inner) ? inner : null;
}

/** The names in a list of `String` nodes; stops at the first of another kind (`*`, a subscript). */
export function namesOf(tree: Tree | undefined): string[] {
  const list = unwrap(tree, 'List')?.['items'] ?? tree;
  const names: string[] = [];
  for (const item of listOf(list)) {
    const name = textOf(unwrap(item, 'String')?.['sval']);
    if (name === null) break;
    names.push(name);
  }
  return names;
}
