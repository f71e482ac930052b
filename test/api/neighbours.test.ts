import { once } from "node:events";
import pg from "pg";
import { WebSocket } from "ws";
import { useApi, useMember } from "../support/api.js";
import { asSuperuser, createTenant, useDatabase } from "../support/database.js";
import { send } from "../support/graphql.js";
import { until } from "../support/until.js";
import { TenantLoader } from "../../src/services/tenant-loader.js";

const api = useApi({}, { per: "test" });
const member = useMember(api, { per: "test" });

const LOCK = 42;

/** Has whoever reads a job of this type in a request's role wait as long as the test holds the lock. */
const HOLD_UP = `
  create function hold_up(job_type text) returns boolean language plpgsql as $$
  begin
    if job_type = 'LARGE' then perform pg_advisory_xact_lock_shared(${LOCK}); end if;
    return true;
  end $$;
  create policy hold_up on jobs as restrictive for select to public using (current_user not like 'atlas_api%' or hold_up(job_type));`;

async function watchType(jobType: string, selection: string): Promise<WebSocket> {
  const socket = new WebSocket(api.wsUrl, "graphql-transport-ws");
  await once(socket, "open");
  const payload = { authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId };
  socket.send(JSON.stringify({ type: "connection_init", payload }));
  await once(socket, "message");
  const query = `subscription { jobStatusChanged(filter: { jobType: "${jobType}" }) { version job { ${selection} } } }`;
  socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
  return socket;
}

const create = (jobType: string) =>
  send(api, `mutation { createJob(input: { jobType: "${jobType}" }) { eventCursor } }`, {}, member.headers);

it("a stream that reads no payload gets on while twenty others of its tenant cannot finish reading theirs", async () => {
  await asSuperuser(HOLD_UP, api.own.superuserUrl);
  const large = await Promise.all(Array.from({ length: 20 }, (_, n) => watchType("LARGE", `input a${n}: id`)));
  const small = await watchType("SMALL", "status");
  await until(() => api.tail.size === 21);
  const lock = new pg.Client({ connectionString: api.own.superuserUrl });
  await lock.connect();
  await lock.query(`select pg_advisory_lock(${LOCK})`);
  const waiting = async () =>
    (await lock.query("select from pg_locks where not granted and locktype = 'advisory'")).rowCount ?? 0;
  let came = 0;
  small.on("message", () => (came += 1));
  // One after the other: each has its reader, as far as there are turns.
  for (let n = 1; n <= 6; n += 1) {
    await asSuperuser(
      `insert into jobs (tenant_id, job_type) values ('${member.tenantId}', 'LARGE')`,
      api.own.superuserUrl,
    );
    api.hints.send("events");
    await until(async () => (await waiting()) >= Math.min(n, 2));
  }
  for (let n = 1; n <= 10; n += 1) {
    await create("SMALL");
    await until(() => came === n, { boundMs: 5_000, what: `change ${n} beside ${await waiting()} readings` });
  }
  expect(await waiting()).toBe(2);
  await lock.end();
  for (const socket of [...large, small]) socket.terminate();
});

describe("what is asked for together", () => {
  const own = useDatabase({ per: "test" });

  it("is read once, however many ask for it", async () => {
    const { tenantId } = await createTenant(own.database);
    const read: string[][] = [];
    const loader = new TenantLoader<{ tenantId: string; id: string }, string>(
      own.database,
      { maxBatchSize: 20, nameOf: ({ id }) => id },
      (_tx, _tenantId, keys) => {
        read.push(keys.map(({ id }) => id));
        return Promise.resolve(keys.map(({ id }) => `row ${id}`));
      },
    );
    const ids = ["a", "b", "c"];
    const asked = Array.from({ length: 20 }, () => ids.map((id) => loader.load({ tenantId, id })));
    expect(await Promise.all(asked.flat())).toEqual(
      Array.from({ length: 20 }, () => ids.map((id) => `row ${id}`)).flat(),
    );
    expect(read).toEqual([ids]);
    // Nothing is kept.
    await loader.load({ tenantId, id: "a" });
    expect(read).toEqual([ids, ["a"]]);
  });
});
