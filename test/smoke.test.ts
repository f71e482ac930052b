import { startApi } from "./support/api.js";
import { ask } from "./support/graphql.js";

it("creates and reads", async () => {
  const api = await startApi();
  const member = await api.member();
  const created = await ask<{ job: { id: string } }>(api, member, `mutation { createJob(input: {jobType: "A"}) { job { id } } }`);
  expect(await ask(api, member, `query($id: ID!) { job(id: $id) { id status } }`, { id: created.job.id })).toEqual({ id: created.job.id, status: "QUEUED" });
  await api.close();
});
