import { asSuperuser } from "../support/database.js";
import { type DebianPostgresql, debianPrograms, startDebianPostgresql } from "../support/debian-postgresql.js";
import { nginxIsInstalled } from "../support/nginx.js";
import { prepareDatabase, runRollingRestart } from "./run.js";

let server: DebianPostgresql;

(nginxIsInstalled && debianPrograms !== null ? describe : describe.skip)("behind nginx, on Debian's PostgreSQL", () => {
  beforeAll(async () => {
    server = await startDebianPostgresql();
  });

  afterAll(() => server.remove());

  it("fails no request and hides no change while every process is restarted", async () => {
    const addresses = await prepareDatabase(server.superuserUrl);
    expect(await asSuperuser("show jit", addresses.superuserUrl)).toEqual([{ jit: "on" }]);
    const { failed, unfinished, missed, accepted } = await runRollingRestart({ ...addresses, rounds: 1 });
    expect({ failed, unfinished, missed }).toEqual({
      failed: [],
      unfinished: [],
      missed: { "atlas-jobs/client": [], "graphql-ws": [], "Apollo Client": [], urql: [], "server-sent events": [] },
    });
    expect(accepted).toBeGreaterThan(100);
  }, 180_000);
});
