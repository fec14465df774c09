/**
 * Reads a parse tree into facts. Everything in it is visited, whatever it is part of, so that no corner of the grammar
 * hides a function call or a statement; what a kind of statement means stands in `statements.ts`.
 *
 * Not seen through: operators and casts (they may call functions of the database), views, triggers, defaults and rules
 * behind a name, and a function of the database called on a relation's row by functional notation (`t.f` for `f(t)`).
 */
import { FactsBuilder } from './facts.ts';
import { effectsOfFieldName, effectsOfFunction } from './functions.ts';
import { effectsOfColumn, functionAliases, type FunctionAliases } from './notation.ts';
import { isRoleSetting, statementRules } from './statements.ts';
import { isList, isNode, listOf, namesOf, textOf, unwrap, type Tree, type TreeNode } from './tree.ts';

/** Names of common table expressions that are visible, innermost first. */
interface Scope {
  readonly names: Set<string>;
  readonly outer: Scope | null;
}

/** Adds what one statement (`{"SelectStmt": {…}}`) does. @throws RangeError for a tree too deep to be read */
export function readStatement(tree: TreeNode, facts: FactsBuilder): void {
  const [kind] = Object.keys(tree);
  if (kind === undefined || !statementRules.has(kind)) facts.add('unknown');
  else new Reader(facts, functionAliases(tree)).node(tree);
}

class Reader {
  readonly #facts: FactsBuilder;
  readonly #aliases: FunctionAliases;
  #scope: Scope | null = null;

  constructor(facts: FactsBuilder, aliases: FunctionAliases) {
    this.#facts = facts;
    this.#aliases = aliases;
  }

  #any(tree: Tree | undefined): void {
    if (isList(tree)) for (const item of tree) this.#any(item);
    else if (isNode(tree)) this.node(tree);
  }

  #fields(tree: TreeNode): void {
    for (const name of Object.keys(tree)) {
      const inner = tree[name];
      if (isNode(inner) && isKind(name)) this.#kind(name, inner);
      // `FOR UPDATE OF x` names an alias of the query, and `withClause` has been read before its statement.
      else if (name !== 'lockedRels' && name !== 'withClause') this.#any(inner);
    }
    if (tree['relname'] !== undefined) this.#relation(tree);
    if (tree['funcformat'] !== undefined) this.#call(tree);
    if (tree['intoClause'] !== undefined) this.#facts.add('schema', 'write');
    if (tree['lockingClause'] !== undefined) this.#facts.add('session');
  }

  /** `{kind: node}` */
  #kind(kind: string, node: TreeNode): void {
    if (kind === 'RangeVar') this.#source(node);
    else if (kind === 'ColumnRef') this.#column(node);
    else if (kind === 'ExplainStmt') this.#explain(node);
    else if (kind.endsWith('Stmt')) this.#statement(kind, node);
    else {
      if (kind === 'A_Indirection') this.#indirection(node);
      else if (kind === 'A_Expr') this.#operator(node['name']);
      else if (kind === 'SubLink') this.#operator(node['operName']);
      else if (kind === 'SortBy') this.#operator(node['useOp']);
      else if (kind === 'Constraint') this.#exclusions(node);
      else if (kind === 'RangeTableSample') this.#sample(node);
      this.node(node);
    }
  }

  #statement(kind: string, node: TreeNode): void {
    const rule = statementRules.get(kind);
    this.#facts.add(...(rule?.effects ?? ['unknown']));
    rule?.look?.(node, this.#facts);
    const values = kind === 'InsertStmt' ? unwrap(node['selectStmt'], 'SelectStmt') : null;
    // INSERT … VALUES reads nothing by itself: as bare fields it is no statement of its own.
    this.node(values?.['valuesLists'] === undefined ? node : { ...node, selectStmt: values });
  }

  /** A node of whatever kind: `{kind: fields}`, or the bare fields. It may bring common table expressions of its own. */
  node(node: TreeNode): void {
    const clause = node['withClause'];
    if (!isNode(clause)) {
      this.#fields(node);
      return;
    }
    const outer = this.#scope;
    const expressions = listOf(clause['ctes']).map((item) => unwrap(item, 'CommonTableExpr') ?? {});
    const names = new Set<string>();
    this.#scope = { names, outer };
    if (clause['recursive'] === true) for (const expression of expressions) names.add(nameOf(expression));
    for (const expression of expressions) {
      this.node(expression);
      names.add(nameOf(expression));
    }
    this.#fields(node);
    this.#scope = outer;
  }

  /** A name in a FROM list or a list of relations: maybe a common table expression's. */
  #source(node: TreeNode): void {
    const name = textOf(node['relname']) ?? '';
    if (node['schemaname'] === undefined && this.#isCommonTable(name)) return;
    this.node(node);
  }

  #isCommonTable(name: string): boolean {
    for (let scope = this.#scope; scope !== null; scope = scope.outer) if (scope.names.has(name)) return true;
    return false;
  }

  #relation(node: TreeNode): void {
    const schema = textOf(node['schemaname']);
    const name = textOf(node['relname']) ?? '';
    if (schema === null) this.#facts.relation(name);
    else this.#facts.relation(schema, name);
  }

  #call(node: TreeNode): void {
    const path = namesOf(node['funcname']);
    this.#facts.function(...path);
    this.#facts.add(...effectsOfFunction(path));
    if (path.at(-1) !== 'set_config') return;
    // set_config('role', …) is SET ROLE; so may be a name that is computed, or escaped.
    const constant = unwrap(listOf(node['args'])[0], 'A_Const')?.['sval'];
    const name = isNode(constant) ? (textOf(constant['sval']) ?? '') : null;
    this.#facts.literalsMatter = true;
    if (name === null || isRoleSetting(name) || !/^[a-z_][a-z0-9_.]*$/i.test(name))
      this.#facts.add('privilege');
  }

  #column(node: TreeNode): void {
    const path = namesOf(node['fields']);
    if (path.length < 2) return;
    this.#facts.qualifiers.add(path[0]!);
    this.#notation(path.at(-1)!, effectsOfColumn(path, this.#aliases));
  }

  #indirection(node: TreeNode): void {
    for (const item of listOf(node['indirection'])) {
      const name = textOf(unwrap(item, 'String')?.['sval']);
      if (name !== null) this.#notation(name, effectsOfFieldName(name));
    }
  }

  /** `x.name` that calls `name(x)`. */
  #notation(name: string, effects: ReturnType<typeof effectsOfFunction>): void {
    if (effects.length > 0) this.#facts.function(name);
    this.#facts.add(...effects);
  }

  /** `a OPERATOR(schema.+) b`: one that is not the catalog's is a function of the database. */
  #operator(name: Tree | undefined): void {
    const path = namesOf(name);
    if (path.length > 1 && path.at(-2) !== 'pg_catalog') this.#facts.add('code');
  }

  /** `EXCLUDE (column WITH operator)` */
  #exclusions(constraint: TreeNode): void {
    for (const item of listOf(constraint['exclusions']))
      this.#operator(listOf(unwrap(item, 'List')?.['items'])[1]);
  }

  /** `TABLESAMPLE name(…)` calls a function for each block. */
  #sample(node: TreeNode): void {
    if (!/^(system|bernoulli)$/.test(namesOf(node['method']).join('.'))) this.#facts.add('code');
  }

  /**
   * EXPLAIN does not run its statement, but planning may run functions of it; EXPLAIN ANALYZE runs it. Of an option given
   * twice the last counts for PostgreSQL; here any ANALYZE that is not plainly off does.
   */
  #explain(node: TreeNode): void {
    const inner = new FactsBuilder();
    new Reader(inner, this.#aliases).node({ query: node['query'] });
    this.#facts.absorb(inner, listOf(node['options']).some(isAnalyze));
  }
}

const nameOf = (expression: TreeNode): string => textOf(expression['ctename']) ?? '';

/** The grammar's names of nodes begin with a capital letter, those of fields do not. */
const isKind = (name: string): boolean => name.charCodeAt(0) < 0x5b;

function isAnalyze(option: Tree): boolean {
  const element = unwrap(option, 'DefElem');
  if (element === null || !/^analy[sz]e$/i.test(textOf(element['defname']) ?? '')) return false;
  const argument = element['arg'];
  const off = /^(false|off|0)$/i;
  const text =
    textOf(unwrap(argument, 'String')?.['sval']) ?? textOf(unwrap(argument, 'Boolean')?.['boolval']);
  if (text !== null) return !off.test(text);
  const number = unwrap(argument, 'Integer');
  return number === null || (number['ival'] ?? 0) !== 0;
}
