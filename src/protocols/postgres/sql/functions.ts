/**
 * What a call of a built-in function adds to the effects of its statement. Everything that is not listed, or stands in
 * another schema than pg_catalog, is `code`: a function of the database may do anything.
 *
 * The name alone decides: a database that defines a function of its own with a built-in's name and other arguments
 * (`public.round(money)`) is believed to mean the built-in.
 */
import type { Effect } from '../../../model/command-facts.ts';
import {
  catalogResultColumns,
  harmlessCatalogFunctions,
  harmlessNewerFunctions,
} from './catalog-functions.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Volatile built-ins, and a few that PostgreSQL calls stable although they run a query of somebody else's. */
const categories: readonly (readonly [readonly Effect[], string])[] = [
  [
    [], // volatile only because the answer differs from call to call
    `amvalidate clock_timestamp current_query currtid2 currval gen_random_uuid lastval lo_get lo_lseek lo_lseek64 lo_tell lo_tell64
    loread pg_blocking_pids pg_collation_actual_version pg_control_checkpoint pg_control_init pg_control_recovery
    pg_control_system pg_current_logfile pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn
    pg_database_collation_actual_version pg_database_size pg_get_backend_memory_contexts pg_get_multixact_members
    pg_get_shmem_allocations pg_get_wal_replay_pause_state pg_get_wal_resource_managers pg_indexes_size pg_is_in_recovery
    pg_is_wal_replay_paused pg_isolation_test_session_is_blocked pg_jit_available pg_last_committed_xact
    pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_lock_status
    pg_notification_queue_usage pg_partition_ancestors pg_partition_tree pg_prepared_xact pg_relation_size
    pg_replication_origin_progress pg_replication_origin_session_is_setup pg_replication_origin_session_progress
    pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_show_replication_origin_status pg_sleep pg_sleep_for
    pg_sleep_until pg_stat_get_recovery_prefetch pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit
    pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time
    pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
    pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_returned
    pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_table_size pg_tablespace_size pg_total_relation_size
    pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status random setseed timeofday txid_status`,
  ],
  [
    ['session'],
    `lo_close lo_open pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
    pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_current_xact_id pg_export_snapshot
    pg_notify pg_stat_clear_snapshot pg_stat_force_next_flush pg_try_advisory_lock pg_try_advisory_lock_shared
    pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared set_config txid_current`,
  ],
  [
    ['write'],
    `brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list lo_creat lo_create
    lo_from_bytea lo_put lo_truncate lo_truncate64 lowrite nextval pg_logical_emit_message setval`,
  ],
  [['delete'], 'lo_unlink'],
  [['file', 'write'], 'lo_import'],
  [
    ['file'],
    `lo_export pg_hba_file_rules pg_ident_file_mappings pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir
    pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_tmpdir pg_ls_waldir pg_read_binary_file pg_read_file
    pg_read_file_old pg_show_all_file_settings pg_stat_file`,
  ],
  [
    ['privilege'],
    `pg_backup_start pg_backup_stop pg_cancel_backend pg_copy_logical_replication_slot
    pg_copy_physical_replication_slot pg_create_physical_replication_slot pg_create_restore_point
    pg_drop_replication_slot pg_log_backend_memory_contexts pg_promote pg_reload_conf pg_replication_origin_advance
    pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_session_reset
    pg_replication_origin_session_setup pg_replication_origin_xact_reset pg_replication_origin_xact_setup
    pg_replication_slot_advance pg_rotate_logfile pg_rotate_logfile_old pg_stat_reset pg_stat_reset_replication_slot
    pg_stat_reset_shared pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters pg_stat_reset_slru
    pg_stat_reset_subscription_stats pg_stop_making_pinned_objects pg_switch_wal pg_terminate_backend
    pg_wal_replay_pause pg_wal_replay_resume`,
  ],
  [['schema'], 'pg_extension_config_dump pg_import_system_collations pg_nextoid'],
  [
    ['code'], // they run a query given as text, read relations that are not named, or load code
    `cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema database_to_xmlschema
    fmgr_c_validator fmgr_internal_validator fmgr_sql_validator pg_create_logical_replication_slot
    pg_logical_slot_get_binary_changes pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes
    pg_logical_slot_peek_changes plpgsql_validator query_to_xml query_to_xml_and_xmlschema query_to_xmlschema
    schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema
    table_to_xmlschema ts_rewrite ts_stat`,
  ],
];

/** Of information_schema: pure. */
const informationSchema = new Set(
  words(`_pg_char_max_length _pg_char_octet_length _pg_datetime_precision _pg_expandarray _pg_index_position
  _pg_interval_type _pg_numeric_precision _pg_numeric_precision_radix _pg_numeric_scale _pg_truetypid _pg_truetypmod`),
);

const none: readonly Effect[] = [];
const code: readonly Effect[] = ['code'];
const builtIn = new Map<string, readonly Effect[]>();
for (const name of [...harmlessCatalogFunctions, ...harmlessNewerFunctions]) builtIn.set(name, none);
for (const [effects, names] of categories) for (const name of words(names)) builtIn.set(name, effects);

/** Every name of pg_catalog that has a category, for the comparison with a server. */
export const knownFunctions: ReadonlySet<string> = new Set(builtIn.keys());

/** Effects of a call of `path` (`['pg_catalog', 'lower']`, `['lower']`). */
export function effectsOfFunction(path: readonly string[]): readonly Effect[] {
  const name = path.at(-1) ?? '';
  const schema = path.length > 1 ? path.at(-2) : null;
  if (schema === 'information_schema') return informationSchema.has(name) ? none : code;
  if (schema !== null && schema !== 'pg_catalog') return code;
  return builtIn.get(name) ?? code;
}

/**
 * `relation.name` is the column or, when there is none, the call `name(relation)`. Most names are columns: only a
 * built-in that is not harmless is told.
 */
export function effectsOfColumnName(name: string): readonly Effect[] {
  return builtIn.get(name) ?? none;
}

const resultColumns = new Set(catalogResultColumns);

/** `(expression).name` is a field of a composite value or the call `name(expression)`; the names of neither are known. */
export function effectsOfFieldName(name: string): readonly Effect[] {
  return builtIn.get(name) ?? (resultColumns.has(name) ? none : code);
}
