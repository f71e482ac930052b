import { ERRORS } from "../../src/errors.js";
import { useApi } from "../support/api.js";
import { type Exchange, exchange, leaks } from "./exchange.js";
import type { Request } from "./routes.js";
import { headersOf, ROWS, type World } from "./rows.js";
import { freshJob, rowsOf, STATES } from "./tenancy.js";
import { ROUTES } from "./verdicts.js";
import { createWorld, credentials } from "./world.js";

const api = useApi();
let world: World;
let before: Record<string, unknown>;
beforeAll(async () => {
  world = await createWorld(api);
  before = await rowsOf(api, world.victim);
});

const send = (request: Request, headers: Request["headers"]): Promise<Exchange> =>
  exchange(api, { ...request, headers: { ...request.headers, ...headers } });

/** Checks what an answer tells the attacker: nothing of the victim, and this. */
function expectTold(answer: Exchange, told: keyof typeof ERRORS | 200): void {
  expect(leaks(answer, world.victim)).toEqual([]);
  const expected = told === 200 ? [200, undefined] : [ERRORS[told].status, told];
  expect([answer.status, answer.body?.["error"]]).toEqual(expected);
}

const routes = Object.entries(ROUTES).map(([name, route]) => ({ name, ...route }));
const judged = routes.flatMap((route) => (route.kind === "open" || route.kind === "graphql" ? [] : [route]));

describe.each(judged)("$name", ({ name, kind, requests, told }) => {
  it("tells nothing for what the other tenant has", async () => {
    const all = [...requests(world.victim)];
    expect(all).not.toEqual([]);
    for (const request of all) expectTold(await send(request, credentials(world.attacker.member)), told);
  });

  it.each(ROWS)("refuses: $row", async (row) => {
    for (const request of requests(world[row.names])) expectTold(await send(request, headersOf(row, world)), row.told);
  });

  it("lets a viewer read their own tenant, and change nothing anywhere", async () => {
    const { attacker, victim } = world;
    const own = await rowsOf(api, attacker);
    for (const request of requests(victim)) {
      expectTold(await send(request, credentials(attacker.viewer)), kind === "read" ? told : "tenant_access_denied");
    }
    const expected = kind === "read" ? [200, undefined] : [403, "tenant_access_denied"];
    for (const request of requests({ ...attacker, named: { ...attacker.named, jobId: [attacker.jobs.queued] } })) {
      const answer = await send(request, credentials(attacker.viewer));
      expect(leaks(answer, victim)).toEqual([]);
      expect([answer.status, answer.body?.["error"]]).toEqual(expected);
    }
    expect(await rowsOf(api, attacker)).toEqual(own);
  });

  it("answers an owner of the thing itself", async () => {
    const { attacker } = world;
    const jobId = await Promise.all(STATES.map((state) => freshJob(api, attacker, state)));
    const [method = "", path = ""] = name.split(" ");
    const plain = method === "GET" && !path.includes(":") ? [{ method, path }] : [];
    const answers = [];
    for (const request of [...plain, ...requests({ ...attacker, named: { ...attacker.named, jobId } })]) {
      answers.push(await send(request, credentials(attacker.member)));
    }
    for (const answer of answers) expect(leaks(answer, world.victim)).toEqual([]);
    expect(answers.map(({ status }) => status)).toContain(200);
  });
});

describe("routes of the same path", () => {
  const paths = [
    ...new Set(routes.filter(({ kind }) => kind !== "graphql").map(({ name }) => name.split(" ")[1] ?? "")),
  ];

  it.each(paths)("of %s answer no other method", async (path) => {
    const allowed = routes.filter(({ name }) => name.endsWith(` ${path}`)).map(({ name }) => name.split(" ")[0]);
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((one) => !allowed.includes(one))) {
      const request = { method, path: path.replace(":id", world.victim.jobs.queued) };
      expectTold(await send(request, credentials(world.attacker.member)), "method_not_allowed");
    }
  });
});

describe.each(routes.filter(({ kind }) => kind === "open"))("$name", ({ name }) => {
  it("shows nothing of a tenant, whoever asks", async () => {
    const request = { method: "GET", path: name.split(" ")[1] ?? "", headers: { accept: "text/html" } };
    const rows = ROWS.map((row) => headersOf(row, world));
    for (const headers of [{}, credentials(world.attacker.member), ...rows]) {
      const answer = await send(request, headers);
      expect([answer.status, leaks(answer, world.victim)]).toEqual([200, []]);
    }
  });
});

describe("the list's other place for the tenant", () => {
  const list = (query: string, headers: Record<string, string>) =>
    send({ method: "GET", path: `/v1/jobs/list?${query}` }, headers);

  it("opens no other tenant, and gives way to the header", async () => {
    const { authorization, ...header } = credentials(world.attacker.member);
    const [own, other] = [header["x-tenant-id"], world.victim.member.tenantId];
    for (const name of ["org_id", "orgId"]) {
      expectTold(await list(`${name}=${other}`, { authorization }), "tenant_access_denied");
      expectTold(await list(`${name}=${other.toUpperCase()}`, { authorization }), "tenant_access_denied");
      expectTold(await list(`${name}=${other}&${name}=${own}`, { authorization }), "invalid_tenant_id");
      const answer = await list(`${name}=${other}`, { authorization, ...header });
      expectTold(answer, 200);
      expect(answer.body).toMatchObject({ org_id: own });
    }
    expectTold(await list(`org_id=${own}&orgId=${other}`, { authorization }), "invalid_tenant_id");
  });
});

describe("the attacks over REST", () => {
  it("have changed nothing of the other tenant's", async () => {
    expect(await rowsOf(api, world.victim)).toEqual(before);
  });
});
