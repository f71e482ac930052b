import { randomUUID } from "node:crypto";
import { type Answer, call, expectError } from "./call.js";
import { api, completed, create, failed, get, member, post, run, instant } from "./jobs-rig.js";

describe("DELETE /v1/jobs/:id", () => {
  const remove = (id: string): Promise<Answer> => call(api, "DELETE", `/v1/jobs/${id}`, member.headers);

  it("removes a job that is queued, completed, failed or canceled", async () => {
    const canceled = await create();
    await post(`/v1/jobs/${canceled}/cancel`);
    for (const id of [await create(), (await completed(null)).id, (await failed()).id, canceled]) {
      const { status, body } = await remove(id);
      expect({ status, body }).toEqual({ status: 200, body: { ok: true } });
      expectError(await get(`/v1/jobs/${id}`), 404, "job_not_found");
      expectError(await remove(id), 404, "job_not_found");
    }
    expect((await get("/v1/jobs/list")).body.items).toEqual([]);
  });

  it("refuses a running job", async () => {
    const { id } = await run();
    expectError(await remove(id), 409, "job_running");
    expect((await get(`/v1/jobs/${id}`)).body.job?.status).toBe("running");
  });
});

describe("POST /v1/jobs/:id/cancel and /retry", () => {
  it("cancels a queued job, and queues it again", async () => {
    const id = await create();
    const canceled = await post(`/v1/jobs/${id}/cancel`);
    expect(canceled.status).toBe(200);
    expect(canceled.body).toEqual({
      ok: true,
      id,
      status: "canceled",
      job: expect.objectContaining({ id, status: "canceled", finishedAt: instant }) as object,
    });
    const queued = await post(`/v1/jobs/${id}/retry`);
    expect(queued.body).toEqual({
      ok: true,
      id,
      status: "queued",
      job: expect.objectContaining({ id, status: "queued", finishedAt: null }) as object,
    });
    expect(queued.body.job).toEqual((await get(`/v1/jobs/${id}`)).body.job);
  });

  it("asks a running job to end, which stays running until it has", async () => {
    const { id } = await run();
    const { status, body } = await post(`/v1/jobs/${id}/cancel`);
    expect({ status, job: body.status }).toEqual({ status: 200, job: "running" });
  });

  it("needs no body, and takes an empty one", async () => {
    const id = await create();
    const { authorization, "x-tenant-id": tenant } = member.headers;
    const headers = { authorization: authorization ?? "", "x-tenant-id": tenant ?? "" };
    expect((await call(api, "POST", `/v1/jobs/${id}/cancel`, headers)).status).toBe(200);
    expect((await post(`/v1/jobs/${id}/retry`, {})).status).toBe(200);
    // As curl sends it with -d ''.
    const form = { ...headers, "content-type": "application/x-www-form-urlencoded" };
    expect((await call(api, "POST", `/v1/jobs/${id}/cancel`, form, "")).status).toBe(200);
  });

  it("refuses what the present status does not allow", async () => {
    const [queued, done, dead] = [await create(), (await completed(null)).id, (await failed()).id];
    for (const [id, change] of [
      [queued, "retry"],
      [done, "retry"],
      [done, "cancel"],
      [dead, "cancel"],
    ]) {
      expectError(await post(`/v1/jobs/${id}/${change}`), 409, "invalid_transition");
    }
  });
});

describe("every route of a job", () => {
  const routes = [
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/cancel"],
    ["POST", "/retry"],
  ] as const;

  it.each(routes)("%s /v1/jobs/:id%s answers another tenant's job like one that is not there", async (method, rest) => {
    const id = await create();
    const other = await api.member();
    const theirs = await call(api, method, `/v1/jobs/${id}${rest}`, other.headers);
    expectError(theirs, 404, "job_not_found");
    const unknown = randomUUID();
    const nobodys = await call(api, method, `/v1/jobs/${unknown}${rest}`, other.headers);
    expect(theirs.body.message?.replace(id, unknown)).toBe(nobodys.body.message);
    expect((await get(`/v1/jobs/${id}`)).body.job?.status).toBe("queued");
  });

  it.each(routes)("%s /v1/jobs/:id%s refuses an id that is no UUID", async (method, rest) => {
    for (const id of ["42", "list2", `${randomUUID()}0`, "%00", "%F0%9F%98%80", "__proto__"]) {
      const answer = await call(api, method, `/v1/jobs/${id}${rest}`, member.headers);
      expectError(answer, 400, "invalid_input");
      expect(answer.body.details).toEqual([{ path: "id", message: "must be a UUID" }]);
    }
  });

  it("lets a member whose role is viewer read and change nothing", async () => {
    const viewer = await api.member({ role: "viewer" });
    expect((await get("/v1/jobs/list", viewer.headers)).status).toBe(200);
    const refused = [
      await call(api, "POST", "/v1/jobs", viewer.headers, { jobType: "TEST" }),
      ...(await Promise.all(
        routes.slice(1).map(([method, rest]) => call(api, method, `/v1/jobs/${randomUUID()}${rest}`, viewer.headers)),
      )),
    ];
    for (const answer of refused) expectError(answer, 403, "tenant_access_denied");
  });
});
