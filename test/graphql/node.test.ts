import { randomUUID } from "node:crypto";
import { useApi, useMember, type TestMember } from "../support/api.js";
import { ask, send } from "../support/graphql.js";

const api = useApi();
const member = useMember(api);
let other: TestMember;
beforeAll(async () => {
  other = await api.member();
});

const NODE = `query ($id: ID!) { node(id: $id) { __typename id ... on Job { jobType input } ... on Viewer { userId role dailyJobs { used } } } }`;
const node = (id: string, asker = member) => ask<unknown>(api, asker, NODE, { id });
const create = async () =>
  (await ask<{ job: { id: string } }>(api, member, `mutation { createJob(input: {jobType: "A", input: {a: 1}}) { job { id } } }`)).job.id; // prettier-ignore
const viewerId = async (of: TestMember) => (await ask<{ id: string }>(api, of, `{ viewer { id } }`)).id;

describe("node", () => {
  it("reads a job and the viewer again by their ids", async () => {
    const id = await create();
    expect(await node(id)).toEqual({ __typename: "Job", id, jobType: "A", input: { a: 1 } });
    const viewer = { __typename: "Viewer", userId: member.userId, role: "MEMBER", dailyJobs: { used: 1 } };
    expect(await node(await viewerId(member))).toEqual({ ...viewer, id: await viewerId(member) });
  });

  it("is null for what there is not, whatever the id looks like, and for another tenant's", async () => {
    for (const id of [randomUUID(), "nonsense", "", "Job:1", await create(), await viewerId(member)]) {
      expect(await node(id, other)).toBeNull();
    }
    expect(await node(await viewerId(other))).toBeNull();
  });

  it("tells a viewer's memberships from each other", async () => {
    expect(await viewerId(member)).not.toBe(await viewerId(other));
    expect(await viewerId(member)).toContain(member.tenantId);
  });

  it("needs a token", async () => {
    expect((await send(api, NODE, { id: randomUUID() })).status).toBe(401);
  });
});
