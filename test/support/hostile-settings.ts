import { randomUUID } from "node:crypto";
import { asSuperuser } from "./database.js";

/** What an operator may have set for the login: each would change what our statements do, or end them. */
const OF_THE_LOGIN = {
  jit: "on",
  jit_above_cost: "0",
  jit_inline_above_cost: "0",
  jit_optimize_above_cost: "0",
  search_path: "decoys, nowhere",
  row_security: "off",
  statement_timeout: "250ms",
  lock_timeout: "1ms",
  idle_in_transaction_session_timeout: "1ms",
  idle_session_timeout: "2s",
  default_transaction_isolation: "serializable",
  default_transaction_read_only: "on",
  default_transaction_deferrable: "on",
  plan_cache_mode: "force_generic_plan",
};

/** And for the database. */
const OF_THE_DATABASE = {
  timezone: "Asia/Kathmandu",
  datestyle: "German, DMY",
  intervalstyle: "sql_standard",
  bytea_output: "escape",
  extra_float_digits: "-15",
  array_nulls: "off",
  standard_conforming_strings: "off",
  backslash_quote: "on",
  quote_all_identifiers: "on",
  transform_null_equals: "on",
  synchronous_commit: "off",
  client_encoding: "LATIN1",
};

/** An empty database whose login finds everything set badly. */
export interface HostileDatabase {
  url: string;
  /** On that database. */
  superuserUrl: string;
  drop(): Promise<void>;
}

/** @param serverUrl a superuser's address on any database of the server. */
export async function createHostileDatabase(serverUrl: string): Promise<HostileDatabase> {
  const name = `hostile_${randomUUID().slice(0, 8)}`;
  const onServer = (sql: string): Promise<unknown[]> => asSuperuser(sql, serverUrl);
  const superuserUrl = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href;
  await onServer(`create role ${name} login password 'secret' createrole`);
  await onServer(`create database ${name} owner ${name}`);
  // Tables of the same names, in the schema that the login's path names first.
  await asSuperuser(
    `create schema decoys authorization ${name};
     create table decoys.jobs (); create table decoys.job_events (); create table decoys.installation (); create table decoys.migrations ()`,
    superuserUrl,
  );
  const [{ version = 0 } = {}] = (await onServer("select current_setting('server_version_num')::int as version")) as {
    version?: number;
  }[];
  const ofTheLogin = { ...OF_THE_LOGIN, ...(version >= 170_000 && { transaction_timeout: "100ms" }) };
  for (const [whose, settings] of [
    [`role ${name}`, ofTheLogin],
    [`database ${name}`, OF_THE_DATABASE],
  ] as const) {
    for (const [setting, value] of Object.entries(settings)) {
      await onServer(`alter ${whose} set ${setting} to ${setting === "search_path" ? value : `'${value}'`}`);
    }
  }
  return {
    url: Object.assign(new URL(superuserUrl), { username: name, password: "secret" }).href,
    superuserUrl,
    async drop() {
      await onServer(`drop database ${name} with (force)`);
      await onServer(`drop role atlas_api_${name}, atlas_feed_${name}, atlas_worker_${name}, ${name}`);
    },
  };
}
