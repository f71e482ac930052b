import { randomUUID } from "node:crypto";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { call } from "../rest/call.js";
import { useApi, useMember } from "../support/api.js";
import { ask } from "../support/graphql.js";
import { restFault } from "./documented.js";
import { expectNoGrowth } from "./heap.js";
import { runs } from "./parameters.js";
import { canonical, json, storableInput, text } from "./values.js";
import { expectWhole } from "./whole.js";

const api = useApi();
const member = useMember(api);
let jobId: string;

beforeAll(async () => {
  jobId = (await call(api, "POST", "/v1/jobs", member.headers, { jobType: "A" })).body.id ?? "";
});

async function expectKept(id: string | undefined, sent: Record<string, unknown>): Promise<void> {
  const input = canonical(sent["input"] ?? {});
  const { body } = await call(api, "GET", `/v1/jobs/${id}`, member.headers);
  expect(canonical(body.job?.input)).toBe(input);
  expect(body.job).toMatchObject({ jobType: sent["jobType"] ?? sent["job_type"], priority: sent["priority"] ?? 0 });
  const job = await ask<{ input: unknown }>(api, member, "query ($id: ID!) { job(id: $id) { input } }", { id });
  expect(canonical(job.input)).toBe(input);
}

const FIELDS = ["jobType", "job_type", "priority", "input", "runAt", "maxAttempts", "timeoutMs", "idempotencyKey", "__proto__", "constructor"]; // prettier-ignore

const INSTANTS = ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "2026-06-30T23:59:60Z", "+275760-09-13T00:00:00Z", "1970-01-01T00:00:00.123456789Z"]; // prettier-ignore

/** A field of a create and its value's text, as it should be. */
const rightField = fc.oneof(
  storableInput.map((input) => ["input", input]),
  fc.constantFrom(...INSTANTS).map((instant) => ["runAt", JSON.stringify(instant)]),
  fc.integer().map((priority) => ["priority", String(priority)]),
  fc.integer({ min: 1, max: 25 }).map((attempts) => ["maxAttempts", String(attempts)]),
  text.map((key) => ["idempotencyKey", JSON.stringify(key)]),
);

/** The text of a create, with fields that are wrong or twice there. */
const create = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: rightField },
      { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...FIELDS), json) },
    ),
    { maxLength: 4 },
  )
  .map((entries) => `{"jobType":"A",${entries.map(([name, value]) => `"${name}":${value},`).join("")}"z":0}`);

/** A body: JSON of every kind, JSON with a byte changed, and no JSON. */
const body: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(create, json) },
  {
    weight: 2,
    arbitrary: fc.tuple(create, fc.nat(), fc.nat(255)).map(([one, at, byte]) => {
      const bytes = Buffer.from(one);
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
);

const TYPES = ["application/json", "application/json; charset=utf-16", "application/json; charset=utf-7", "application/json;charset=\"utf-8", "application/vnd.api+json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "json", ";", ""]; // prettier-ignore
const ENCODERS: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  br: (bytes) => brotliCompressSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  compress: (bytes) => bytes,
  "gzip, br": (bytes) => brotliCompressSync(gzipSync(bytes)),
};

describe("POST /v1/jobs", () => {
  it("keeps an input exactly as it was sent", async () => {
    const jobType = fc.constantFrom("A", "__proto__", "constructor", "ẞ😀", "a b");
    await fc.assert(
      fc.asyncProperty(fc.tuple(storableInput, jobType, fc.integer()), async ([input, type, priority]) => {
        fc.pre(input.length < 200_000);
        const sent = `{"jobType":${JSON.stringify(type)},"priority":${priority},"input":${input}}`;
        const created = await call(api, "POST", "/v1/jobs", member.headers, sent);
        expect(created.status).toBe(200);
        await expectKept(created.body.id, JSON.parse(sent) as Record<string, unknown>);
      }),
      runs(),
    );
  });

  it("answers every body as documented, and keeps what it accepts", async () => {
    await fc.assert(
      fc.asyncProperty(body, async (bytes) => {
        const answer = await call(api, "POST", "/v1/jobs", member.headers, bytes);
        expect(restFault(answer)).toBeNull();
        if (answer.status === 200) await expectKept(answer.body.id, JSON.parse(Buffer.from(bytes).toString()) as never);
      }),
      runs(2),
    );
  });

  it("answers every media type, charset and encoding of a body as documented", async () => {
    const sent = fc.tuple(
      body,
      fc.constantFrom(...TYPES),
      fc.constantFrom(...Object.keys(ENCODERS)),
      fc.constantFrom(...Object.keys(ENCODERS)),
    );
    await fc.assert(
      fc.asyncProperty(sent, async ([bytes, type, said, done]) => {
        const headers = { ...member.headers, "content-type": type, "content-encoding": said };
        expect(
          restFault(await call(api, "POST", "/v1/jobs", headers, ENCODERS[done]?.(Buffer.from(bytes)))),
        ).toBeNull();
      }),
      runs(),
    );
  });
});

/** What fetch lets through as a header's value. */
const headerValue = text.map((value) => value.replaceAll(/[^\x20-\x7e\x80-\xff]/g, "").trim());
const HEADERS = ["authorization", "x-tenant-id", "idempotency-key", "x-request-id", "accept", "origin", "last-event-id", "cookie", "x-forwarded-for", "x-http-method-override", "if-none-match", "range", "access-control-request-method", "__proto__", "constructor"]; // prettier-ignore

const headers = fc
  .array(
    fc.tuple(fc.constantFrom(...HEADERS), fc.oneof(headerValue, fc.constantFrom("*", "Bearer x", "Bearer a.b.c"))),
    {
      maxLength: 4,
    },
  )
  .map((entries) => Object.fromEntries(entries) as Record<string, string>);

const segment = fc.oneof(
  fc.constantFrom("v1", "jobs", "list", "cancel", "retry", "healthz", "readyz", "%00", "%", "%2e%2e", "%c0%ae", "%ff", ";", "*", ":id", "(.*)"), // prettier-ignore
  text.map((value) => encodeURIComponent(value.toWellFormed())),
  fc.constant("").map(() => jobId),
  fc.uuid(),
);

const path = fc.oneof(
  fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join("/")}`),
  fc.tuple(segment, fc.constantFrom("", "/cancel", "/retry")).map(([id, change]) => `/v1/jobs/${id}${change}`),
);

const query = fc
  .array(
    fc.tuple(
      fc.constantFrom("org_id", "orgId", "user_id", "userId", "after", "status", "job_id", "jobType", "a[b]", "__proto__", "constructor", "%"), // prettier-ignore
      fc.oneof(
        text.map((value) => encodeURIComponent(value.toWellFormed())),
        fc.constantFrom("%", "%00", "%ff", "queued", "a=b", "a;b", "+"),
        fc.uuid(),
      ),
    ),
    { maxLength: 5 },
  )
  .map((pairs) => pairs.map((pair) => pair.join("=")).join("&"));

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];

describe("every route", () => {
  it("answers every method, path, header and query as documented", async () => {
    const request = fc.tuple(fc.constantFrom(...METHODS), path, query, headers);
    await fc.assert(
      fc.asyncProperty(request, async ([method, of, pairs, given]) => {
        const target = URL.parse(api.url + of);
        fc.pre(target !== null && (method !== "GET" || target.pathname !== "/v1/jobs/events"));
        expect(restFault(await call(api, method, `${of}?${pairs}`, { ...member.headers, ...given }))).toBeNull();
      }),
      runs(2),
    );
  });

  it("answers every list as documented, whoever asks", async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(query, headers), async ([pairs, given]) => {
        const who = { authorization: `Bearer ${member.token}`, ...given };
        expect(restFault(await call(api, "GET", `/v1/jobs/list?${pairs}`, who))).toBeNull();
      }),
      runs(),
    );
  });

  it("begins an event stream or refuses it as documented", async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(query, headers), async ([pairs, given]) => {
        const reading = new AbortController();
        const response = await fetch(`${api.url}/v1/jobs/events?${pairs}`, {
          headers: { ...member.headers, ...given },
          signal: reading.signal,
        });
        const begun = response.headers.get("content-type") === "text/event-stream; charset=utf-8";
        const fault = begun ? null : restFault({ status: response.status, body: (await response.json()) as object });
        expect(fault).toBeNull();
        reading.abort();
      }),
      runs(),
    );
  });
});

describe("the API", () => {
  it("is whole after all of it", () => expectWhole(api));

  it("does not grow", async () => {
    const other = await api.member();
    const bodies = fc.sample(body, { seed: 1, numRuns: 50 });
    let round = 0;
    await expectNoGrowth(300, async () => {
      const bytes = bodies[round++ % bodies.length];
      expect(
        restFault(await call(api, "POST", "/v1/jobs", { ...other.headers, "x-request-id": randomUUID() }, bytes)),
      ).toBeNull();
      expect(restFault(await call(api, "DELETE", `/v1/jobs/${randomUUID()}`, other.headers))).toBeNull();
    });
  });
});
