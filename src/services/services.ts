import type { Config } from "../config.js";
import type { Database } from "../database/database.js";
import type { Hints } from "../database/hints.js";
import type { Feed } from "../feed/feed.js";
import type { Logger } from "../log.js";
import { createAudit } from "./audit.js";
import { CreateLimit } from "./create-limit.js";
import type { Cursors } from "./cursors.js";
import { EventService } from "./event-service.js";
import { JobHistory } from "./job-history.js";
import { JobCommands } from "./job-commands.js";
import { JobCreation } from "./job-creation.js";
import { JobQueries } from "./job-queries.js";
import { MemberService } from "./member-service.js";

export interface ServicesOptions {
  config: Pick<Config, "createLimitPerMinute">;
  database: Database;
  hints: Hints;
  feed: Feed;
  cursors: Cursors;
  log: Logger;
}

/** All that a member can do, by noun: REST and GraphQL get this one value. */
export type Services = ReturnType<typeof createServices>;

/** Puts the services together. A new one has its own file, and its line here. */
export function createServices({ config, database, hints, feed, cursors, log }: ServicesOptions) {
  const createLimit = new CreateLimit(database, config.createLimitPerMinute);
  const creation = new JobCreation(database, cursors, createLimit);
  return {
    jobs: new JobQueries(database, cursors),
    jobCommands: new JobCommands(database, hints, cursors, creation, createAudit(log)),
    events: new EventService(database, feed, cursors),
    jobHistory: new JobHistory(database, cursors),
    members: new MemberService(database, cursors),
  };
}
