import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { readEventStream } from "../support/event-stream.js";
import { until } from "../support/until.js";
import { call } from "./call.js";

const api = useApi({ corsOrigins: ["*"] });
const member = useMember(api, { per: "test" });

async function cursorOf(method: string, path: string, body?: unknown): Promise<{ id: string; cursor: string }> {
  const answer = await call(api, method, path, member.headers, body);
  expect(answer.status).toBe(200);
  return { id: answer.body.id ?? "", cursor: answer.headers.get("x-event-cursor") ?? "" };
}

const create = () => cursorOf("POST", "/v1/jobs", { jobType: "A" });

/** The versions after a cursor, up to one; those before what the cursor promises may be among them. */
async function versionsAfter(cursor: string, last: number): Promise<unknown[]> {
  const reader = await readEventStream(api, member.headers, `?after=${cursor}`);
  const versions = () => reader.events.map(({ data }) => data?.["version"]);
  await until(() => versions().includes(last), { what: `version ${last}` });
  reader.stop();
  return versions();
}

describe("X-Event-Cursor", () => {
  it("of a create comes before all of its job's changes, however quickly the job was over", async () => {
    const { id, cursor } = await create();
    await asSuperuser(
      `update jobs set status = 'running', attempt = 1, worker_id = gen_random_uuid() where id = '${id}';
       update jobs set status = 'completed' where id = '${id}'`,
      api.own.superuserUrl,
    );
    expect(await versionsAfter(cursor, 3)).toEqual([1, 2, 3]);
  });

  it.each([
    ["the list", "/v1/jobs/list"],
    ["a job", "/v1/jobs/:id"],
  ])("of %s comes before the next change after what it shows", async (_what, path) => {
    const { id } = await create();
    const { cursor } = await cursorOf("GET", path.replace(":id", id));
    await cursorOf("POST", `/v1/jobs/${id}/cancel`);
    expect(await versionsAfter(cursor, 2)).toContain(2);
  });

  it.each([
    ["a cancel", ["cancel"]],
    ["a retry", ["cancel", "retry"]],
    ["a delete", ["delete"]],
  ])("of %s comes before the change that it made", async (_what, changes) => {
    const { id } = await create();
    let cursor = "";
    for (const change of changes) {
      const [method, suffix] = change === "delete" ? ["DELETE", ""] : ["POST", `/${change}`];
      ({ cursor } = await cursorOf(method, `/v1/jobs/${id}${suffix}`));
    }
    expect(await versionsAfter(cursor, changes.length + 1)).toContain(changes.length + 1);
  });

  it("can be read by a page of another origin, as what is said of replays can", async () => {
    const { headers } = await fetch(`${api.url}/v1/jobs/list`, {
      headers: { ...member.headers, origin: "https://app.example.com" },
    });
    expect(headers.get("access-control-expose-headers")?.split(",")).toEqual(
      expect.arrayContaining(["X-Event-Cursor", "Idempotency-Replayed"]),
    );
  });
});
