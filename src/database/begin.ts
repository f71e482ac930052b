/**
 * What each transaction of ours begins with: all that statements rely on, however the server, the database and the login are
 * set. It is set within the transaction, since a pooler drops what a connection starts with, and in one message with BEGIN:
 * these are 0.03 ms, a round trip of their own would be more. Times without an end are for whoever begins to bound.
 */
export const BEGIN = [
  "begin isolation level read committed read write not deferrable",
  // PostgreSQL 14 to 17 compile what they think costly: 160–260 ms for a statement that runs for one.
  "set local jit to off",
  // Where the migrator looks for its table. A temporary table, named before all others unless it is listed, hides none of ours.
  "set local search_path to public, pg_temp",
  "set local row_security to on",
  "set local statement_timeout to 0",
  "set local lock_timeout to 0",
  "set local idle_in_transaction_session_timeout to 0",
  // How values are read and written.
  "set local timezone to 'UTC'",
  "set local datestyle to 'ISO, MDY'",
  "set local intervalstyle to 'postgres'",
  "set local bytea_output to 'hex'",
  "set local extra_float_digits to 1",
  "set local array_nulls to on",
  "set local standard_conforming_strings to on",
  // As the policies' conditions are compared.
  "set local quote_all_identifiers to off",
  // PostgreSQL 17 has one more time. What has been answered must outlive a crash; a stricter setting than `on` stays.
  `select case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '0', true) end,
    case current_setting('synchronous_commit') when 'off' then set_config('synchronous_commit', 'on', true) end`,
].join("; ");
