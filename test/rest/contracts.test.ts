import type { Router } from "express";
import type { z } from "zod";
import { ERRORS } from "../../src/errors.js";
import { bodiesOf, toJsonSchema } from "../../src/rest/contract.js";
import { createOneJob } from "../../src/rest/jobs.contract.js";
import { createRestSurface, REST_CONTRACTS } from "../../src/rest/rest-surface.js";
import { createJob } from "../../src/services/create-job-input.js";
import { useApi, type TestMember } from "../support/api.js";
import { readEventStream } from "../support/event-stream.js";
import { call } from "./call.js";
import { expectContract } from "./expect-contract.js";

const api = useApi();

const nameOf = ({ method, path }: { method: string; path: string }): string => `${method} ${path}`;
const named = REST_CONTRACTS.map((contract) => [nameOf(contract), contract] as const);

/** Each route → what has it answer well. Every answer to `call` and every event is held against its contract. */
const SENT: Record<string, (member: TestMember, id: string) => Promise<number>> = {
  "get /v1/jobs/list": async ({ headers }) => (await call(api, "GET", "/v1/jobs/list", headers)).status,
  "get /v1/jobs/events": async ({ headers }, id) => {
    await call(api, "POST", `/v1/jobs/${id}/cancel`, headers);
    const reader = await readEventStream(api, headers, `?job_id=${id}&until=finished`);
    await reader.count(2);
    return reader.response.status;
  },
  "post /v1/jobs": async ({ headers }) => {
    const create = () => call(api, "POST", "/v1/jobs", { ...headers, "idempotency-key": "k" }, { jobType: "A" });
    await create();
    return (await create()).status;
  },
  "get /v1/jobs/:id": async ({ headers }, id) => (await call(api, "GET", `/v1/jobs/${id}`, headers)).status,
  "delete /v1/jobs/:id": async ({ headers }, id) => (await call(api, "DELETE", `/v1/jobs/${id}`, headers)).status,
  "post /v1/jobs/:id/cancel": async ({ headers }, id) =>
    (await call(api, "POST", `/v1/jobs/${id}/cancel`, headers)).status,
  "post /v1/jobs/:id/retry": async ({ headers }, id) => {
    await call(api, "POST", `/v1/jobs/${id}/cancel`, headers);
    return (await call(api, "POST", `/v1/jobs/${id}/retry`, headers)).status;
  },
  "get /v1/members": async ({ headers }) => (await call(api, "GET", "/v1/members", headers)).status,
};

describe("a route's contract", () => {
  it("is there for each route that is served, and for no other", () => {
    const options = { services: { jobs: {} }, config: { legacyStatusNames: false } } as never;
    const router = createRestSurface(options).routes(AbortSignal.abort()) as Router;
    const served = router.stack.flatMap(({ route }) =>
      route === undefined
        ? ["what is no route"]
        : route.stack.map(({ method }) => method && `${method} ${route.path}`).filter(Boolean),
    );
    expect([...new Set(served)].toSorted()).toEqual(named.map(([name]) => name).toSorted());
  });

  it.each(named)("is what %s answers by when all goes well", async (name, { answers }) => {
    const member = await api.member({ role: "owner" });
    const { body } = await call(api, "POST", "/v1/jobs", member.headers, { jobType: "A" });
    expect(Object.keys(answers)).toContain(String(await SENT[name]?.(member, body.id ?? "")));
  });

  it.each(named)("of %s names its errors' statuses, and no code twice", (_name, contract) => {
    expect(new Set(contract.errors).size).toBe(contract.errors.length);
    for (const code of contract.errors) {
      const body = { ok: false, error: code, message: "", requestId: "" };
      expect(bodiesOf(contract).get(ERRORS[code].status)?.safeParse(body).success).toBe(true);
    }
  });

  it.each(named)("of %s converts to JSON Schema", (_name, contract) => {
    for (const part of [contract.params, contract.query, contract.headers, contract.body]) {
      if (part === undefined) continue;
      const { properties } = toJsonSchema(part, "input");
      expect(Object.keys(properties ?? {})).toEqual(Object.keys(part.shape));
      // A field with neither a type nor alternatives says nothing to a reader.
      const vague = Object.entries(properties ?? {}).filter(
        ([, field]) => !("type" in Object(field) || "anyOf" in Object(field)),
      );
      expect(vague).toEqual([]);
    }
    const bodies = [...bodiesOf(contract).values()].filter((body) => body !== null);
    const told = bodies.map((body) => toJsonSchema(body, "output")).filter(({ type, anyOf }) => type ?? anyOf);
    expect(told).toHaveLength(bodies.length);
  });

  it("of a create has the very fields that the service checks, with their bounds", () => {
    for (const [name, field] of Object.entries(createJob.shape)) {
      expect((createOneJob.body.shape as Record<string, z.ZodType>)[name]).toBe(field);
    }
    expect(toJsonSchema(createOneJob.body, "input").properties).toMatchObject({
      jobType: { type: "string", minLength: 1, maxLength: 100 },
      priority: { type: "integer", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
      input: { type: "object" },
    });
  });

  it("refuses an answer with another status, code or field, or without one", () => {
    const headers = new Headers();
    const told = (status: number, body: object) => () => expectContract("GET", "/v1/jobs/x", { status, headers, body });
    const error = { ok: false, message: "", requestId: "" };
    expect(told(404, { ...error, error: "job_not_found" })).not.toThrow();
    expect(told(404, { ...error, error: "not_found" })).toThrow("error");
    expect(told(409, { ...error, error: "job_running" })).toThrow("409");
    expect(told(404, { ...error, error: "job_not_found", stack: "" })).toThrow("stack");
    expect(told(200, { ok: true, job: {} })).toThrow("jobType");
  });
});
