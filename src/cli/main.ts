#!/usr/bin/env node
import { parseArgs } from "node:util";
import { ConfigError, loadConfig } from "../config.js";
import { checkRowLevelSecurity } from "../database/check-row-level-security.js";
import { checkSchema } from "../database/check-schema.js";
import { Database } from "../database/database.js";
import { openEmbeddedDatabase } from "../database/embedded/embedded.js";
import { START_WAIT_MS } from "../database/reach.js";
import { migrate } from "../database/migrate.js";
import { createLogger } from "../log.js";
import { type Command, UsageError } from "./command.js";
import { memberAddCommand } from "./member-add.js";
import { memberRemoveCommand } from "./member-remove.js";
import { migrateCommand } from "./migrate.js";
import { rolesCommand } from "./roles.js";
import { tenantCreateCommand } from "./tenant-create.js";
import { tokenCommand } from "./token.js";
import { watchCommand } from "./watch.js";

const COMMANDS: readonly Command[] = [
  migrateCommand,
  rolesCommand,
  tenantCreateCommand,
  memberAddCommand,
  memberRemoveCommand,
  tokenCommand,
  watchCommand,
];

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 done, 1 failed, 2 not understood. */
async function main(args: string[]): Promise<number> {
  if (args.length === 0 || args.includes("--help") || args[0] === "help") {
    process.stdout.write(usage());
    return args.length === 0 ? 2 : 0;
  }
  const opened: { close(): Promise<void> }[] = [];
  try {
    const command = commandOf(args);
    const { json, options } = optionsOf(command, args);
    const config = loadConfig();
    const openDatabase = async (): Promise<Database> => {
      const log = createLogger("warn", "cli");
      const embedded = config.databaseUrl === null ? await openEmbeddedDatabase(config.dataDir, log) : null;
      if (embedded !== null) opened.push(embedded);
      const url = embedded?.url ?? config.databaseUrl ?? "";
      // A person is told at once; what comes before a service waits as it does.
      const waitMs = command === migrateCommand ? START_WAIT_MS : 0;
      const database = await Database.connect({ url, poolSize: 2, log, waitMs });
      opened.push(database);
      // Before a migration, or a restore, there is nothing to check.
      if (command === migrateCommand || command === rolesCommand) return database;
      // A server of one's own is migrated when its operator says so.
      if (embedded !== null) await migrate(database);
      const lacking = await checkSchema(database);
      if (lacking.length > 0) {
        throw new ConfigError(`The database lacks ${lacking.join(", ")}: run the migrations (npm run cli -- migrate)`);
      }
      await checkRowLevelSecurity(database);
      return database;
    };
    const answer = await command.run(options, { config, openDatabase });
    if (answer !== null) process.stdout.write(`${json ? JSON.stringify(answer.json) : answer.text}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (!(error instanceof UsageError)) return 1;
    process.stderr.write(`\n${usage()}`);
    return 2;
  } finally {
    for (const one of opened.toReversed()) await one.close();
  }
}

function commandOf(args: string[]): Command {
  const command = COMMANDS.find(({ name }) => args.join(" ").startsWith(name));
  if (command === undefined) throw new UsageError(`There is no command "${args.join(" ")}".`);
  return command;
}

function optionsOf(command: Command, args: string[]): { json: boolean; options: Record<string, string> } {
  const names = Object.keys(command.options);
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({
      args: joinValues(args.slice(command.name.split(" ").length), names),
      options: {
        json: { type: "boolean" },
        ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
      },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const options: Record<string, string> = {};
  for (const name of names) {
    const value = values[name];
    if (typeof value === "string") options[name] = value;
    else if (command.options[name]?.required === true) throw new UsageError(`${command.name} needs --${name}.`);
  }
  return { json: values["json"] === true, options };
}

/**
 * Joins each option with its value, which may begin with a dash as one cursor in 64 does, or with two as one in 4,096: the parser
 * would take it for an option. What is one of the command's is none.
 */
function joinValues(args: readonly string[], names: readonly string[]): string[] {
  const isOption = (arg: string): boolean => ["json", ...names].some((name) => arg.split("=")[0] === `--${name}`);
  const joined: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const [option = "", value] = args.slice(at, at + 2);
    const hasValue = names.some((name) => option === `--${name}`) && value !== undefined && !isOption(value);
    joined.push(hasValue ? `${option}=${value}` : option);
    if (hasValue) at += 1;
  }
  return joined;
}

function usage(): string {
  const lines = COMMANDS.map(({ name, options, about }) => {
    const flags = Object.entries(options).map(([flag, { value, required, about: what }]) => {
      const form = `--${flag} ${value}`;
      return `      ${(required === true ? form : `[${form}]`).padEnd(24)} ${what}`;
    });
    return [`  ${name}: ${about}`, ...flags].join("\n");
  });
  return `Usage: npm run --silent cli -- COMMAND [--json]\n\n${lines.join("\n")}\n`;
}
