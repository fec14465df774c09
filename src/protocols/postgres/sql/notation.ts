/**
 * PostgreSQL's functional notation: `x.name` is the column `name` of x and, when there is none, the call `name(x)`. For a
 * relation's row few functions fit; but the row of a function in FROM that returns single values is the value itself:
 * `SELECT x.purge FROM generate_series(1, 9) AS x` calls `purge` nine times.
 */
import type { Effect } from '../../../model/command-facts.ts';
import { effectsOfColumnName, effectsOfFieldName } from './functions.ts';
import { isList, isNode, listOf, namesOf, textOf, unwrap, type Tree, type TreeNode } from './tree.ts';

/** Functions whose rows are of a type that the statement names: their columns are not known here. */
const composite = /^jsonb?_populate_record(set)?$/;

/**
 * Aliases of functions in FROM, anywhere in a statement, with the names of columns that they are known to have: where an
 * alias stands for several functions, those that all of them have, for which one a column belongs to is not told.
 */
export type FunctionAliases = ReadonlyMap<string, ReadonlySet<string>>;

/** No name: of a source that PostgreSQL names after what it computes, as in `FROM CAST(1 AS int)`. */
const anyName = '';

export function functionAliases(tree: Tree | undefined): FunctionAliases {
  const aliases = new Map<string, Set<string>>();
  collect(tree, aliases);
  return aliases;
}

function collect(tree: Tree | undefined, aliases: Map<string, Set<string>>): void {
  if (isList(tree)) for (const item of tree) collect(item, aliases);
  else if (isNode(tree)) {
    const source = unwrap(tree, 'RangeFunction');
    if (source !== null) add(source, aliases);
    for (const name of Object.keys(tree)) collect(tree[name], aliases);
  }
}

function add(source: TreeNode, aliases: Map<string, Set<string>>): void {
  const columns = new Set<string>();
  for (const item of listOf(source['functions'])) {
    const call = unwrap(listOf(unwrap(item, 'List')?.['items'])[0], 'FuncCall');
    const name = namesOf(call?.['funcname']).at(-1) ?? anyName;
    if (composite.test(name)) return;
    columns.add(name);
  }
  if (source['coldeflist'] !== undefined) return; // a record, and its columns are listed
  const alias = source['alias'];
  const name = isNode(alias) ? textOf(alias['aliasname']) : null;
  for (const column of isNode(alias) ? namesOf(alias['colnames']) : []) columns.add(column);
  for (const each of name === null ? [...columns] : [name]) {
    columns.add(each);
    const others = aliases.get(each) ?? columns;
    aliases.set(each, new Set([...columns].filter((column) => others.has(column))));
  }
}

/** Effects of reading `path`, a column as it is written, when it should be a call. */
export function effectsOfColumn(path: readonly string[], aliases: FunctionAliases): readonly Effect[] {
  const name = path.at(-1) ?? '';
  const columns = path.length === 2 ? (aliases.get(path[0]!) ?? aliases.get(anyName)) : undefined;
  if (columns === undefined) return effectsOfColumnName(name);
  return columns.has(name) ? [] : effectsOfFieldName(name);
}
