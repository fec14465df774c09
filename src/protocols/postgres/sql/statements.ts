/**
 * Every kind of statement that PostgreSQL's grammar can make, with its effects. One that is not listed is `unknown`.
 * What stands inside a statement (a query, a function call, a nested statement) adds its own effects; see `reader.ts`.
 */
import type { Effect } from '../../../model/command-facts.ts';
import { isUnbounded, targetNames } from './condition.ts';
import type { FactsBuilder } from './facts.ts';
import { isNode, listOf, namesOf, textOf, unwrap, type Tree, type TreeNode } from './tree.ts';

export interface StatementRule {
  readonly effects: readonly Effect[];
  /** What its own fields add. */
  readonly look?: (statement: TreeNode, facts: FactsBuilder) => void;
}

const rule = (effects: readonly Effect[], look?: StatementRule['look']): StatementRule =>
  look === undefined ? { effects } : { effects, look };

const read = rule(['read']);
const session = rule(['session']);
const schema = rule(['schema']);
const privilege = rule(['privilege']);
const code = rule(['code']);
const codeAndSchema = rule(['code', 'schema']);
const codeSchemaAndPrivilege = rule(['code', 'privilege', 'schema']);
const unknown = rule(['unknown']);
const schemaOfNamed = rule(['schema'], nameObjects);

export const statementRules: ReadonlyMap<string, StatementRule> = new Map(
  Object.entries({
    // Queries and data
    SelectStmt: read,
    InsertStmt: rule(['write'], insert),
    UpdateStmt: rule(['write'], update),
    DeleteStmt: rule(['delete'], update),
    MergeStmt: rule(['write'], merge),
    TruncateStmt: rule(['delete', 'unbounded']),
    CopyStmt: rule(['copy'], copy),
    ReturnStmt: rule([]),

    // Session and transaction
    TransactionStmt: rule(['session'], transaction),
    VariableSetStmt: rule(['session'], setVariable),
    VariableShowStmt: session,
    ConstraintsSetStmt: session,
    DiscardStmt: rule(['session'], discard),
    LockStmt: session,
    ListenStmt: session,
    UnlistenStmt: session,
    NotifyStmt: session,
    PrepareStmt: session,
    DeallocateStmt: session,
    DeclareCursorStmt: session,
    FetchStmt: rule(['read', 'session']),
    ClosePortalStmt: session,
    CheckPointStmt: session,
    ExplainStmt: rule([]), // reader.ts

    // Code that cannot be seen through
    DoStmt: code,
    CallStmt: code,
    ExecuteStmt: code,
    LoadStmt: rule(['code', 'file']),
    CreateFunctionStmt: rule(['code', 'schema'], securityDefiner),
    AlterFunctionStmt: codeSchemaAndPrivilege,
    CreateTrigStmt: codeAndSchema,
    CreateEventTrigStmt: codeAndSchema,
    AlterEventTrigStmt: codeAndSchema,
    RuleStmt: codeAndSchema,
    CreateExtensionStmt: codeAndSchema,
    AlterExtensionStmt: codeAndSchema,
    AlterExtensionContentsStmt: codeAndSchema,
    CreatePLangStmt: codeAndSchema,
    CreateAmStmt: codeAndSchema,
    CreateCastStmt: codeAndSchema,
    CreateConversionStmt: codeAndSchema,
    CreateTransformStmt: codeAndSchema,
    CreateOpClassStmt: codeAndSchema,
    CreateOpFamilyStmt: codeAndSchema,
    AlterOpFamilyStmt: codeAndSchema,
    AlterOperatorStmt: codeAndSchema,
    AlterTypeStmt: codeAndSchema,
    CreateRangeStmt: codeAndSchema,
    DefineStmt: codeAndSchema,
    CreateFdwStmt: codeAndSchema,
    AlterFdwStmt: codeAndSchema,
    CreateForeignServerStmt: codeSchemaAndPrivilege,
    AlterForeignServerStmt: codeSchemaAndPrivilege,
    CreateUserMappingStmt: codeSchemaAndPrivilege,
    AlterUserMappingStmt: codeSchemaAndPrivilege,
    DropUserMappingStmt: codeSchemaAndPrivilege,
    CreateForeignTableStmt: codeAndSchema,
    ImportForeignSchemaStmt: codeAndSchema,
    CreateSubscriptionStmt: codeSchemaAndPrivilege,
    AlterSubscriptionStmt: codeSchemaAndPrivilege,
    DropSubscriptionStmt: codeSchemaAndPrivilege,
    AlterSystemStmt: rule(['code', 'privilege']),

    // Definitions
    CreateStmt: schema,
    CreateTableAsStmt: rule(['schema', 'write']),
    RefreshMatViewStmt: rule(['read', 'write']),
    ViewStmt: schema,
    IndexStmt: schema,
    CreateSeqStmt: schema,
    AlterSeqStmt: schema,
    CreateDomainStmt: schema,
    AlterDomainStmt: schema,
    CompositeTypeStmt: schema,
    CreateEnumStmt: schema,
    AlterEnumStmt: schema,
    CreateStatsStmt: schema,
    AlterStatsStmt: schema,
    AlterCollationStmt: schema,
    AlterTSDictionaryStmt: schema,
    AlterTSConfigurationStmt: schema,
    CreateSchemaStmt: schema,
    AlterTableStmt: rule(['schema'], alterTable),
    ReplicaIdentityStmt: schema,
    AlterTableMoveAllStmt: schema,
    RenameStmt: rule(['schema'], rename),
    AlterObjectDependsStmt: schemaOfNamed,
    AlterObjectSchemaStmt: schemaOfNamed,
    DropStmt: rule(['schema'], drop),
    CommentStmt: schemaOfNamed,
    ClusterStmt: schema,
    ReindexStmt: schema,
    VacuumStmt: rule(['write']),
    CreatedbStmt: schema,
    DropdbStmt: schema,
    AlterDatabaseStmt: schema,
    AlterDatabaseRefreshCollStmt: schema,
    CreateTableSpaceStmt: rule(['file', 'schema']),
    DropTableSpaceStmt: rule(['file', 'schema']),
    AlterTableSpaceOptionsStmt: schema,
    CreatePublicationStmt: rule(['privilege', 'schema']),
    AlterPublicationStmt: rule(['privilege', 'schema']),

    // Who may do what
    GrantStmt: privilege,
    GrantRoleStmt: privilege,
    AlterDefaultPrivilegesStmt: privilege,
    CreateRoleStmt: privilege,
    AlterRoleStmt: privilege,
    AlterRoleSetStmt: privilege,
    AlterDatabaseSetStmt: privilege,
    DropRoleStmt: privilege,
    AlterOwnerStmt: rule(['privilege', 'schema'], nameObjects),
    ReassignOwnedStmt: privilege,
    DropOwnedStmt: rule(['privilege', 'schema']),
    CreatePolicyStmt: privilege,
    AlterPolicyStmt: privilege,
    SecLabelStmt: rule(['privilege', 'schema'], nameObjects),

    // The grammar has them for its own use; no text of a client makes one.
    RawStmt: unknown,
    SetOperationStmt: unknown,
    PLAssignStmt: unknown,
  }),
);

/** Catalogs can be written to by a superuser, and `pg_settings` by everybody: its rule calls set_config. */
function writeTo(relation: Tree | undefined, facts: FactsBuilder): void {
  if (!isNode(relation)) return;
  const name = textOf(relation['relname']) ?? '';
  if (!name.startsWith('pg_') && relation['schemaname'] !== 'pg_catalog') return;
  facts.add('privilege', 'schema', 'session');
}

function insert(statement: TreeNode, facts: FactsBuilder): void {
  if (statement['returningClause'] !== undefined) facts.add('read');
  writeTo(statement['relation'], facts);
}

function update(statement: TreeNode, facts: FactsBuilder): void {
  for (const clause of ['returningClause', 'fromClause', 'usingClause'])
    if (statement[clause] !== undefined) facts.add('read');
  const target = targetNames(statement['relation']);
  if (isUnbounded(statement['whereClause'], target)) facts.add('unbounded');
  writeTo(statement['relation'], facts);
}

function merge(statement: TreeNode, facts: FactsBuilder): void {
  facts.add('read');
  const target = targetNames(statement['relation']);
  const everywhere = isUnbounded(statement['joinCondition'], target);
  for (const item of listOf(statement['mergeWhenClauses'])) {
    const clause = unwrap(item, 'MergeWhenClause');
    const command = clause?.['commandType'];
    if (command === 'CMD_DELETE') facts.add('delete');
    if (clause === null || (command !== 'CMD_DELETE' && command !== 'CMD_UPDATE')) continue;
    const unmatched = clause['matchKind'] === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE';
    if ((everywhere || unmatched) && isUnbounded(clause['condition'], target)) facts.add('unbounded');
  }
  writeTo(statement['relation'], facts);
}

function copy(statement: TreeNode, facts: FactsBuilder): void {
  if (statement['is_from'] === true) {
    facts.add('write');
    writeTo(statement['relation'], facts);
  } else if (statement['query'] === undefined) facts.add('read');
  const file = textOf(statement['filename']);
  if (file === null) return;
  facts.add('file');
  if (statement['is_program'] === true) facts.programs.add(file);
}

/** What was prepared for a second phase, perhaps by somebody else, takes effect or is undone. */
function transaction(statement: TreeNode, facts: FactsBuilder): void {
  if (/^TRANS_STMT_(COMMIT|ROLLBACK)_PREPARED$/.test(textOf(statement['kind']) ?? '')) facts.add('code');
}

/** Without a policy more rows may be seen. */
function drop(statement: TreeNode, facts: FactsBuilder): void {
  if (statement['removeType'] === 'OBJECT_POLICY') facts.add('privilege');
  nameObjects(statement, facts);
}

/** Settings that are another name for SET ROLE and SET SESSION AUTHORIZATION. */
export const isRoleSetting = (name: string): boolean => /^(role|session_authorization)$/i.test(name);

function setVariable(statement: TreeNode, facts: FactsBuilder): void {
  if (isRoleSetting(textOf(statement['name']) ?? '')) facts.add('privilege');
}

/** DISCARD ALL is also RESET SESSION AUTHORIZATION, which ends a SET ROLE. */
function discard(statement: TreeNode, facts: FactsBuilder): void {
  if (statement['target'] === 'DISCARD_ALL') facts.add('privilege');
}

function securityDefiner(statement: TreeNode, facts: FactsBuilder): void {
  for (const option of listOf(statement['options']))
    if (unwrap(option, 'DefElem')?.['defname'] === 'security') facts.add('privilege');
}

function alterTable(statement: TreeNode, facts: FactsBuilder): void {
  for (const item of listOf(statement['cmds'])) {
    const kind = textOf(unwrap(item, 'AlterTableCmd')?.['subtype']) ?? '';
    if (/Owner|RowSecurity/.test(kind)) facts.add('privilege');
    if (/Trig|Rule|GenericOptions/.test(kind)) facts.add('code');
  }
}

function rename(statement: TreeNode, facts: FactsBuilder): void {
  if (statement['renameType'] === 'OBJECT_ROLE') facts.add('privilege');
  nameObjects(statement, facts);
}

const relationKinds = /^OBJECT_(TABLE|VIEW|MATVIEW|FOREIGN_TABLE|SEQUENCE|INDEX)$/;
/** Named by their relation and then their own name. */
const partKinds = /^OBJECT_(COLUMN|TRIGGER|RULE|POLICY|TABCONSTRAINT)$/;

/** Statements on objects of any kind name relations by lists of names. */
function nameObjects(statement: TreeNode, facts: FactsBuilder): void {
  const kind = textOf(statement['removeType'] ?? statement['objtype'] ?? statement['objectType']) ?? '';
  const objects = statement['objects'] === undefined ? [statement['object']] : listOf(statement['objects']);
  for (const object of objects) {
    const names = object === undefined ? [] : namesOf(object);
    if (relationKinds.test(kind)) facts.relation(...names);
    if (partKinds.test(kind)) facts.relation(...names.slice(0, -1));
  }
}
