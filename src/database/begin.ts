/**
 * How each transaction begins: with the settings that its statements rely on, whatever the server, the database and the login
 * are set to. They are set inside the transaction, since a pooler drops the settings that a connection starts with, and in one
 * message with BEGIN: they take 0.03 ms, a round trip takes longer. Timeouts are off (0) here; who begins the transaction sets them.
 */
export const BEGIN = [
  "begin isolation level read committed read write not deferrable",
  // PostgreSQL 14 to 17 compile statements that they estimate to be costly: 160–260 ms for one that runs for 1 ms.
  "set local jit to off",
  // The migrator looks for its table here. pg_temp is searched first unless it is listed: a temporary table could hide ours.
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
  // The check of row-level security compares the policies' conditions as text.
  "set local quote_all_identifiers to off",
  // PostgreSQL 17 has one more timeout. An answered change must survive a crash: never `off`; a stricter setting than `on` stays.
  `select case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '0', true) end,
    case current_setting('synchronous_commit') when 'off' then set_config('synchronous_commit', 'on', true) end`,
].join("; ");
