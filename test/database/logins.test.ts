import pg from "pg";
import { TENANT_TABLES } from "../../src/database/check-row-level-security.js";
import type { Session } from "../../src/database/database.js";
import { useApi, type TestMember } from "../support/api.js";
import { asSuperuser, SYSTEM } from "../support/database.js";
import { useLoginDatabase } from "../support/login.js";
import { until } from "../support/until.js";
import { watch } from "../support/watch.js";

const TABLES = Object.keys(TENANT_TABLES);

describe.each([
  { kind: "an owner's", attributes: "createrole", inherits: false, shows: "nothing" },
  // As every login did before PostgreSQL 16, and as a grant by hand still makes it.
  { kind: "an inheriting", attributes: "createrole", inherits: true, shows: "nothing" },
  { kind: "a BYPASSRLS", attributes: "createrole bypassrls", inherits: false, shows: "everything" },
  { kind: "a superuser's", attributes: "superuser", inherits: false, shows: "everything" },
])("on $kind login", ({ attributes, inherits, shows }) => {
  const own = useLoginDatabase(attributes);
  const api = useApi({}, { on: own });
  let mine: TestMember;
  let theirs: TestMember;
  let theirJob: string;
  beforeAll(async () => {
    if (inherits) {
      await asSuperuser(`grant ${Object.values(own.roles).join(", ")} to ${own.login} with inherit true`);
    }
    [mine, theirs] = await Promise.all([api.member(), api.member()]);
    await create(mine, "MINE");
    theirJob = await create(theirs, "THEIRS");
  });

  async function create({ headers }: TestMember, jobType: string): Promise<string> {
    const body = JSON.stringify({ jobType });
    const response = await fetch(`${api.url}/v1/jobs`, { method: "POST", headers, body });
    return ((await response.json()) as { id: string }).id;
  }

  it("serves each tenant its own jobs", async () => {
    const typesOf = async ({ headers }: TestMember) => {
      const response = await fetch(`${api.url}/v1/jobs/list`, { headers });
      return ((await response.json()) as { items: { jobType: string }[] }).items.map(({ jobType }) => jobType);
    };
    expect(await typesOf(mine)).toEqual(["MINE"]);
    expect(await typesOf(theirs)).toEqual(["THEIRS"]);
    const stolen = await fetch(`${api.url}/v1/jobs/${theirJob}`, { method: "DELETE", headers: mine.headers });
    expect(stolen.status).toBe(404);
  });

  it("streams each tenant its own events", async () => {
    const watcher = watch(api.wsUrl, mine, { after: await cursorOf(mine) });
    const other = await create(theirs, "THEIRS");
    const id = await create(mine, "MINE");
    // Older events of one's own may come too, if a transaction was open when the cursor was given.
    const ids = () => watcher.seen.map(({ jobId }) => jobId);
    await until(() => ids().includes(id));
    expect(ids()).not.toContain(other);
    expect(ids()).not.toContain(theirJob);
    watcher.stop();
    await watcher.client.dispose();
  });

  it.each(TABLES)("shows an unfiltered query of %s one tenant's rows, and none without a tenant", async (table) => {
    const tenantsSeen = (session: Session): Promise<unknown[]> =>
      own.database.transaction(session, (tx) =>
        tx.query(`select distinct ${TENANT_TABLES[table]} as tenant from ${table}`),
      );
    const session = { role: "api", tenantId: mine.tenantId, actor: "user:me" } as const;
    expect(await tenantsSeen(session)).toEqual([{ tenant: mine.tenantId }]);
    expect(await tenantsSeen({ ...session, tenantId: "" })).toEqual([]);
    expect(await tenantsSeen(SYSTEM)).toHaveLength(2);
  });

  it(`shows ${shows} to the login itself`, async () => {
    const client = new pg.Client({ connectionString: own.url });
    await client.connect();
    for (const table of TABLES) {
      expect((await client.query(`select 1 from ${table}`)).rows.length > 0).toBe(shows === "everything");
    }
    await client.end();
  });

  async function cursorOf({ headers }: TestMember): Promise<string> {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers,
      body: JSON.stringify({ query: "{ jobs { eventCursor } }" }),
    });
    return ((await response.json()) as { data: { jobs: { eventCursor: string } } }).data.jobs.eventCursor;
  }
});
