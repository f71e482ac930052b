import { randomUUID } from "node:crypto";
import { createAtlasClient } from "../../src/client/index.js";
import { call } from "../rest/call.js";
import { useApi, useMember } from "../support/api.js";
import { SYSTEM } from "../support/database.js";
import { ask } from "../support/graphql.js";

const api = useApi();
const member = useMember(api);

const JOB = "query ($id: ID!) { job(id: $id) { createdBy origin { kind id } } }";

async function shownOf(id: string) {
  const { body } = await call(api, "GET", `/v1/jobs/${id}`, member.headers);
  return { graphql: await ask(api, member, JOB, { id }), rest: body.job?.origin };
}

describe("a job's origin", () => {
  it("is the member who created it, on every surface", async () => {
    const client = createAtlasClient({ url: api.url, tenantId: member.tenantId, token: member.token });
    const { job } = await client.enqueue({ jobType: "A" });
    expect(job.origin).toEqual({ kind: "MEMBER", id: member.userId });
    expect(await shownOf(job.id)).toEqual({
      graphql: { createdBy: member.userId, origin: { kind: "MEMBER", id: member.userId } },
      rest: { kind: "member", id: member.userId },
    });
  });

  it.each([
    ["schedule", "created_by_schedule", randomUUID()],
    ["job", "created_by_job", randomUUID()],
    ["system", "created_by", null],
  ])("is the %s that created it, on every surface", async (kind, column, id) => {
    const [job] = await api.database.transaction(SYSTEM, (tx) =>
      tx.query<{ id: string }>(`insert into jobs (tenant_id, job_type, ${column}) values ($1, 'A', $2) returning id`, [
        member.tenantId,
        id,
      ]),
    );
    expect(await shownOf(job!.id)).toEqual({
      graphql: { createdBy: null, origin: { kind: kind.toUpperCase(), id } },
      rest: { kind, id },
    });
  });
});
