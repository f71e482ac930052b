import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { send } from "../support/graphql.js";
import { until } from "../support/until.js";
import { useRig } from "../worker/rig.js";

/** What PostgreSQL says when it cannot do something now that it may do later. */
const PASSING = [
  ["25006", "a standby, or a server that was made read-only"],
  ["40001", "a standby's recovery needed what the statement read"],
  ["40P01", "a deadlock"],
  ["53000", "resources have run out"],
  ["53100", "the disk is full"],
  ["53200", "memory has run out"],
  ["53300", "there are too many connections"],
  ["55P03", "a lock is not to be had"],
  ["57P01", "an administrator ends the session"],
  ["57P02", "the server has crashed"],
  ["57P03", "the server is starting"],
  ["58030", "the disk does not answer"],
] as const;

/** Has the jobs' table refuse what the condition names, as a server in that state would. */
async function refuse(sqlstate: string, when: string, superuserUrl: string, first = ""): Promise<void> {
  await asSuperuser(
    `create or replace function refuse() returns trigger language plpgsql as $$
     begin ${first} raise exception 'refused' using errcode = '${sqlstate}'; end $$;
     drop trigger if exists refuse on jobs;
     create trigger refuse before insert or update on jobs for each row when (${when}) execute function refuse()`,
    superuserUrl,
  );
}

describe("a request that the database cannot serve now", () => {
  const api = useApi();
  const member = useMember(api);

  it.each(PASSING)("is answered with 503 and when to try again: %s, %s", async (sqlstate) => {
    await refuse(sqlstate, "new.job_type = 'REFUSED'", api.own.superuserUrl);
    const body = JSON.stringify({ jobType: "REFUSED" });
    const rest = await fetch(`${api.url}/v1/jobs`, { method: "POST", headers: member.headers, body });
    expect(rest.status).toBe(503);
    expect(rest.headers.get("retry-after")).toBe("2");
    expect(await rest.json()).toMatchObject({ ok: false, error: "unavailable" });
    const graphql = await send(
      api,
      'mutation { createJob(input: { jobType: "REFUSED" }) { job { id } } }',
      {},
      member.headers,
    );
    expect(graphql.errors?.[0]?.extensions).toMatchObject({ code: "UNAVAILABLE" });
    expect(graphql.headers.get("retry-after")).toBe("2");
  });

  it("is still ours to answer for when no retry would help", async () => {
    await refuse("XX000", "new.job_type = 'REFUSED'", api.own.superuserUrl);
    const body = JSON.stringify({ jobType: "REFUSED" });
    const rest = await fetch(`${api.url}/v1/jobs`, { method: "POST", headers: member.headers, body });
    expect(rest.status).toBe(500);
  });
});

describe("a worker whose database cannot take an attempt's end now", () => {
  const rig = useRig();
  beforeAll(async () => {
    await asSuperuser("create sequence refusals; grant all on sequence refusals to public", rig.superuserUrl);
  });

  it.each([["25006"], ["53100"], ["55P03"], ["57P01"]])("keeps it, and writes it once it can: %s", async (sqlstate) => {
    await refuse(sqlstate, "new.status = 'completed'", rig.superuserUrl, "perform nextval('refusals');");
    const refusals = async (): Promise<number> => {
      const [row] = await asSuperuser("select nextval('refusals')::int as n", rig.superuserUrl);
      return (row as { n: number }).n;
    };
    const before = await refusals();
    let runs = 0;
    rig.work({ [`JOB_${sqlstate}`]: () => ({ run: (runs += 1) }) });
    const id = await rig.enqueue(`JOB_${sqlstate}`);
    await until(async () => (await refusals()) > before + 3);
    await asSuperuser("drop trigger refuse on jobs", rig.superuserUrl);
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 1, output: { run: 1 } });
    expect(runs).toBe(1);
  });
});
