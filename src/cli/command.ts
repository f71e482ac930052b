import type { Config } from "../config.js";
import type { Database } from "../database/database.js";

/** What a command is given to work with; what it does not use is never opened. */
interface CommandContext {
  config: Config;
  /** Opens the database, the embedded one included; closed when the command ends. */
  openDatabase(): Promise<Database>;
}

/** What a command answers: `text` for a person, `json` for a program (`--json`). */
interface Answer {
  text: string;
  json: unknown;
}

/** A command of the operator's command line. */
export interface Command {
  /** As typed: `tenant create`. */
  name: string;
  /** Its options: what follows each, in capitals. */
  options: Readonly<Record<string, { value: string; required?: boolean; about: string }>>;
  about: string;
  /** @returns null when the command has printed its answer itself. */
  run(options: Readonly<Record<string, string>>, context: CommandContext): Promise<Answer | null>;
}

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
