import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import fc from "fast-check";
import { asSuperuser } from "../support/database.js";
import { until } from "../support/until.js";
import {
  handled,
  asJson,
  fromJson,
  rig,
  api,
  member,
  client,
  frames,
  socket,
  sent,
  idIn,
  VARIABLE,
  INPUT,
  NESTED,
  WAYS,
  input,
  finished,
  shown,
} from "./exact-numbers-rig.js";

describe("a number of an input", () => {
  it.each(Object.keys(WAYS))("that comes by %s is the same on every surface and to the handler", async (way) => {
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        const id = await WAYS[way]!(given);
        await finished(id);
        const expected = fromJson(asJson(given));
        const surfaces = await shown(id);
        const { socket: onSocket, ...others } = surfaces;
        expect(onSocket).toEqual({ input: expected, output: expected });
        for (const [surface, found] of Object.entries(others)) expect({ surface, found }).toEqual({ surface, found: expected }); // prettier-ignore
      }),
      { numRuns: 4 },
    );
  });

  it("is the same in an engine run's steps and outputs, also where it goes on after a checkpoint", async () => {
    const steps = `[{"jobType":"INNER","input":{"id":9007199254740993}},{"jobType":"FAILS_ONCE","input":{"id":-9007199254740993}}]`;
    const id = idIn(await sent("/v1/jobs", `{"jobType":"ENGINE_RUN","input":{"steps":${steps}}}`));
    await finished(id);
    expect((await sent(`/v1/jobs/${id}`)).text).toContain(
      '"output":{"steps":[{"output":{"id":9007199254740993},"jobType":"INNER"},{"output":{"id":-9007199254740993},"jobType":"FAILS_ONCE"}]}',
    );
  });

  it("is the same in the event stream that ends with a job, and on the command line", async () => {
    const { eventCursor } = await client.list({ first: 1 });
    const id = idIn(await sent("/v1/jobs", '{"jobType":"INNER","input":{"id":9007199254740993}}'));
    const stream = await sent(`/v1/jobs/events?job_id=${id}&until=finished`);
    expect(stream.text).toContain('"output":{"id":9007199254740993}');
    const options = ["--url", api.url, "--tenant", member.tenantId, "--token", member.token, "--after", eventCursor];
    const watching = spawn(process.execPath, ["dist/cli/main.js", "watch", ...options], { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    watching.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    await until(() => printed.includes('"output":{"id":9007199254740993}'));
    watching.kill("SIGTERM");
    await once(watching, "exit");
  }); // prettier-ignore

  it("is a bigint to the client in a process that is not ours", async () => {
    const script = `
      import { createAtlasClient } from "./dist/client/index.js";
      const client = createAtlasClient(JSON.parse(process.argv[1]));
      const { job } = await client.enqueue({ jobType: "INNER", input: { id: 9007199254740993n } });
      console.log("toJSON" in BigInt.prototype, job.input.id);`;
    const options = JSON.stringify({ url: api.url, tenantId: member.tenantId, token: member.token });
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script, options]);
    expect(stdout).toBe("false 9007199254740993n\n");
  });

  it("is that of a variable within a literal", async () => {
    const id = idIn(await sent("/graphql", `{"query":${JSON.stringify(NESTED)},"variables":{"n":9007199254740993}}`));
    expect((await sent(`/v1/jobs/${id}`)).text).toContain('"input":{"a":{"in":[9007199254740993]}}');
  });

  it("makes another input, where an idempotency key is used again", async () => {
    const create = (number: string) => sent("/v1/jobs", `{"jobType":"B","idempotencyKey":"k","input":{"n":${number}}}`);
    const first = await create("9007199254740993");
    expect([first.status, idIn(await create("9007199254740993.0")), (await create("9007199254740992")).status]).toEqual(
      [200, idIn(first), 409], // prettier-ignore
    );
  });

  it("that SQL has written, with more digits than a double, is shown as it stands, and is a number to the handler", async () => {
    const [row] = (await asSuperuser(
      `insert into jobs (tenant_id, job_type, input, checkpoint)
       values ('${member.tenantId}', 'ECHO', '{"third": 0.33333333333333333333, "big": ${"7".repeat(400)}}', '{}') returning id`,
      rig.superuserUrl,
    )) as { id: string }[];
    await rig.finished(row!.id);
    const text = `"third":0.33333333333333333333`;
    expect((await sent(`/v1/jobs/${row!.id}`)).text).toContain(text);
    const query = `{ job(id: "${row!.id}") { input } }`;
    expect((await sent("/graphql", JSON.stringify({ query }))).text).toContain(text);
    expect(handled.get(row!.id)).toEqual({ third: 1 / 3, big: Infinity });
  });
});

describe("a number that cannot be kept", () => {
  const TOKENS = ["1e309", "-1e400", "1e-400", "0.10000000000000001", "9007199254740991.5", `1${"0".repeat(309)}`];

  it.each(TOKENS)("%s is refused by name on every way in", async (token) => {
    const path = /input\.a\.0\.b holds .*, which cannot be kept as a number.*send it as a string/;
    const body = `{"a":[{"b":${token}}],"c":1}`;
    const rest = await sent("/v1/jobs", `{"jobType":"A","input":${body}}`);
    expect(rest.status).toBe(400);
    expect(JSON.parse(rest.text)).toMatchObject({
      error: "invalid_input",
      details: [{ path: "input.a.0.b", message: expect.stringContaining(token.slice(0, 40)) }],
    });
    const literal = `mutation { createJob(input: {jobType: "A", input: {a: [{b: ${token}}]}}) { job { id } } }`;
    for (const [query, variables] of [
      [VARIABLE, `{"input":{"jobType":"A","input":${body}}}`],
      [INPUT, `{"input":${body}}`],
      [literal, "{}"],
    ] as const) {
      const { text } = await sent("/graphql", `{"query":${JSON.stringify(query)},"variables":${variables}}`);
      const { errors } = JSON.parse(text) as { errors: [{ message: string; extensions: Record<string, unknown> }] };
      expect(errors[0].message).toMatch(path);
      expect(errors[0].extensions).toMatchObject({
        code: "BAD_USER_INPUT",
        details: [{ path: "input.input.a.0.b" }],
      });
    }
  });

  it.each(["1e309", "1e-400", "9007199254740993", "1.00000000000000000001"])(
    "%s is refused by the bound of a field that is no JSON",
    async (token) => {
      for (const [field, bound] of [
        ["priority", "-2147483648–2147483647"],
        ["maxAttempts", "1–25"],
        ["timeoutMs", "1–604800000"],
        ["jobType", "text"],
        ["input", "object"],
        ["idempotencyKey", "text"],
        ["runAt", "ISO 8601"],
      ] as const) {
        const others = field === "jobType" ? "" : `"jobType":"A",`;
        const { status, text } = await sent("/v1/jobs", `{${others}"${field}":${token}}`);
        expect([status, text]).toEqual([400, expect.stringMatching(`"path":"${field}","message":"[^"]*${bound}`)]);
        const variables = `{"input":{${others}"${field}":${token}}}`;
        for (const body of [
          `{"query":${JSON.stringify(VARIABLE)},"variables":${variables}}`,
          JSON.stringify({ query: `mutation { createJob(input: {${others.replaceAll('"jobType"', "jobType")}${field}: ${token}}) { job { id } } }` }),
        ]) {
          const answer = await sent("/graphql", body);
          expect(answer.status).toBeLessThan(500);
          expect(answer.text).toMatch(/"code":"(?:BAD_USER_INPUT|GRAPHQL_VALIDATION_FAILED)"/);
        }
      } // prettier-ignore
    },
  );

  it.each(["1e309", "1e-400", "9007199254740993"])("%s does no harm where nobody asks for it", async (token) => {
    const rest = await sent("/v1/jobs", `{"jobType":"A","other":{"deep":[${token}]},"${"n".repeat(20)}":${token}}`);
    expect(rest.status).toBe(200);
    for (const body of [token, `[${token}]`]) expect((await sent("/v1/jobs", body)).status).toBe(400);
    const ok = await sent("/graphql", `{"query":"{ viewer { userId } }","extensions":{"a":${token}},"x":${token}}`);
    expect([ok.status, ok.text]).toEqual([200, expect.stringContaining(member.userId)]);
    for (const part of ["query", "variables", "extensions", "operationName"]) {
      const { status } = await sent("/graphql", `{"query":"{ viewer { userId } }","${part}":${token}}`);
      expect(status).toBeLessThan(500);
    }
  });

  it.each(["1e309", "1e-400", "9007199254740993", "1.00000000000000000001"])(
    "%s is refused as a variable on a socket, which stays open",
    async (token) => {
      const query = "subscription ($n: Int) { jobStatusChanged { job { events(first: $n) { edges { cursor } } } } }";
      const id = `of ${token.slice(0, 20)}`;
      socket.send(`{"type":"subscribe","id":"${id}","payload":{"query":"${query}","variables":{"n":${token}}}}`);
      const frame = await until(() => frames.find((one) => one.includes(`"${id}"`)));
      expect(JSON.parse(frame)).toMatchObject({
        type: "error",
        payload: [{ message: expect.stringMatching(/"\$n".*2147483647/) }],
      });
      expect(socket.readyState).toBe(WebSocket.OPEN);
    },
  );

  it("fails the attempt whose handler returns or keeps it", async () => {
    rig.work({
      RETURNS: () => ({ n: JSON.rawJSON("0.10000000000000001") }),
      KEEPS: (_input, context) => context.checkpoint({ n: 10n ** 309n }),
    });
    for (const [jobType, code, number] of [
      ["RETURNS", "invalid_output", "0.10000000000000001"],
      ["KEEPS", "invalid_checkpoint", `1${"0".repeat(39)}…`],
    ] as const) {
      const { error } = await rig.finished(await rig.enqueue(jobType));
      expect(error).toMatchObject({ code, message: expect.stringContaining(number) });
    }
  });
});
