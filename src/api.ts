import { Authenticator } from "./auth/authenticator.js";
import { MembershipWatch } from "./auth/membership-watch.js";
import { type TokenRules, TokenVerifier } from "./auth/token-verifier.js";
import type { Config } from "./config.js";
import { halfOf, Turns } from "./limits/turns.js";
import type { Database } from "./database/database.js";
import type { Hints } from "./database/hints.js";
import { readCursorKey } from "./database/installation.js";
import { Cursors } from "./services/cursors.js";
import { FeedDelay } from "./feed/feed-delay.js";
import { Feed } from "./feed/feed.js";
import { Tail } from "./feed/tail.js";
import type { Logger } from "./log.js";
import { createServices, type Services } from "./services/services.js";

export interface ApiOptions {
  config: Config;
  database: Database;
  hints: Hints;
  rules: TokenRules;
  log: Logger;
}

/** What serves members: the services, and who may use them. */
export interface Api {
  services: Services;
  authenticator: Authenticator;
  memberships: MembershipWatch;
  tail: Tail;
  feedDelay: FeedDelay;
  /** Once the server has drained: ends what would keep the process alive. */
  close(): Promise<void>;
}

/** Puts the API together on an open database. */
export async function createApi({ config, database, hints, rules, log }: ApiOptions): Promise<Api> {
  const cursors = new Cursors(await readCursorKey(database));
  const tail = new Tail(database, hints, log);
  const turns = new Turns(halfOf(config.databasePoolSize), "requests of a user");
  const authenticator = new Authenticator(new TokenVerifier(rules), database, turns);
  const limits = { perUser: config.streamsPerUser, perTenant: config.streamsPerTenant };
  const memberships = new MembershipWatch(authenticator, limits, log);
  const feed = new Feed(database, tail);
  const services = createServices({ config, database, hints, feed, cursors, log });
  const feedDelay = new FeedDelay(database, log);
  return {
    services,
    authenticator,
    memberships,
    tail,
    feedDelay,
    async close() {
      memberships.close();
      feedDelay.close();
      await tail.close();
    },
  };
}
