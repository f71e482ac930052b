import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { startApi, type TestApi, type TestMember } from "../support/api.js";
import { ask, send } from "../support/graphql.js";
import { until } from "../support/until.js";
import { socketOf, watch } from "../support/watch.js";

const CREATE = `mutation ($type: String!) { createJob(input: {jobType: $type}) { job { id status } eventCursor } }`;
const JOB = `query ($id: ID!) { job(id: $id) { id jobType } }`;
const WATCH = `subscription ($after: EventCursor) { jobStatusChanged(after: $after) { jobId status } }`;

interface Created {
  createJob: { job: { id: string; status: string }; eventCursor: string };
}

let api: TestApi;
let member: TestMember;
beforeAll(async () => {
  api = await startApi();
  member = await api.member();
});
afterAll(() => api.close());

describe("clients", () => {
  it("serves Apollo Client: query and mutation over HTTP, subscription over graphql-ws", async () => {
    const socket = socketOf(api.wsUrl, member);
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.split(
        ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
        new GraphQLWsLink(socket),
        new HttpLink({ uri: `${api.url}/graphql`, headers: member.headers }),
      ),
    });
    const { data: created } = await client.mutate<Created>({ mutation: gql(CREATE), variables: { type: "APOLLO" } });
    const { job, eventCursor } = created!.createJob;
    expect(job.status).toBe("QUEUED");
    const { data } = await client.query<{ job: unknown }>({ query: gql(JOB), variables: { id: job.id } });
    expect(data?.job).toEqual({ __typename: "Job", id: job.id, jobType: "APOLLO" });

    const seen: unknown[] = [];
    const subscription = client
      .subscribe<{ jobStatusChanged: { jobId: string; status: string } }>({
        query: gql(WATCH),
        variables: { after: eventCursor },
      })
      .subscribe(({ data: change }) => seen.push(change?.jobStatusChanged.status));
    await ask(api, member, `mutation ($id: ID!) { cancelJob(id: $id) { job { id } } }`, { id: job.id });
    await until(() => seen.length >= 2);
    expect(seen).toEqual(["QUEUED", "CANCELED"]);
    subscription.unsubscribe();
    client.stop();
    await socket.dispose();
  });

  it("serves urql: query and mutation over HTTP, subscription over graphql-ws", async () => {
    const socket = socketOf(api.wsUrl, member);
    const client = new Client({
      url: `${api.url}/graphql`,
      preferGetMethod: false,
      fetchOptions: { headers: member.headers },
      exchanges: [
        cacheExchange,
        fetchExchange,
        subscriptionExchange({
          forwardSubscription: ({ query, variables }) => ({
            subscribe: (sink) => ({
              unsubscribe: socket.subscribe(
                { query: query ?? "", variables: (variables ?? {}) as Record<string, unknown> },
                sink as never,
              ),
            }),
          }),
        }),
      ],
    });
    const created = await client.mutation<Created>(CREATE, { type: "URQL" }).toPromise();
    const { job, eventCursor } = created.data!.createJob;
    const found = await client.query<{ job: { jobType: string } }>(JOB, { id: job.id }).toPromise();
    expect(found.data?.job.jobType).toBe("URQL");

    const seen: (string | undefined)[] = [];
    const subscription = client
      .subscription<{ jobStatusChanged: { status: string } }>(WATCH, { after: eventCursor })
      .subscribe(({ data }) => seen.push(data?.jobStatusChanged.status));
    await until(() => seen.length >= 1);
    expect(seen).toEqual(["QUEUED"]);
    subscription.unsubscribe();
    await socket.dispose();
  });

  it("serves a raw graphql-ws client several subscriptions on one socket, each with its filter", async () => {
    const socket = socketOf(api.wsUrl, member);
    const after = (await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`)).eventCursor;
    const all = watch(api.wsUrl, member, { after }, socket);
    const onlyB = watch(api.wsUrl, member, { after, filter: { jobType: ["B"] } }, socket);
    const canceled = watch(api.wsUrl, member, { after, filter: { status: ["CANCELED"] } }, socket);
    for (const type of ["A", "B"]) {
      const { job } = await ask<Created["createJob"]>(api, member, CREATE, { type });
      await ask(api, member, `mutation ($id: ID!) { cancelJob(id: $id) { job { id } } }`, { id: job.id });
    }
    expect((await all.count(4)).map(({ status }) => status)).toEqual(["QUEUED", "CANCELED", "QUEUED", "CANCELED"]);
    expect((await onlyB.count(2)).map(({ version }) => version)).toEqual([1, 2]);
    expect((await canceled.count(2)).map(({ status }) => status)).toEqual(["CANCELED", "CANCELED"]);
    await socket.dispose();
  });

  it("takes nothing but subscriptions on the socket, and says so without closing it", async () => {
    const socket = socketOf(api.wsUrl, member);
    const first = async (query: string): Promise<unknown> => {
      try {
        for await (const { errors } of socket.iterate({ query })) return errors;
        return null;
      } catch (error) {
        return error;
      }
    };
    const refused = [
      {
        message: expect.stringContaining("subscriptions only"),
        extensions: { code: "BAD_REQUEST", requestId: expect.any(String) },
      },
    ];
    expect(await first(`{ viewer { userId } }`)).toMatchObject(refused);
    expect(await first(`mutation { createJob(input: {jobType: "X"}) { job { id } } }`)).toMatchObject(refused);
    expect(await first(`subscription {`)).toMatchObject([{ message: expect.stringContaining("Syntax Error") }]);
    expect(await first(`subscription { jobStatusChanged(after: "nonsense") { jobId } }`)).toMatchObject([
      { extensions: { code: "INVALID_CURSOR" } },
    ]);
    const watcher = watch(api.wsUrl, member, {}, socket);
    await until(async () => {
      await ask(api, member, CREATE, { type: "AFTERWARDS" });
      return watcher.seen.length > 0;
    });
    await socket.dispose();
    expect(await ask(api, member, `{ jobs(filter: {jobType: ["X"]}) { totalCount } }`)).toEqual({ totalCount: 0 });
  });

  it("refuses a subscription over HTTP and names the WebSocket", async () => {
    const { status, errors } = await send(api, `subscription { jobStatusChanged { jobId } }`, {}, member.headers);
    expect([status, errors?.[0]?.message]).toEqual([400, expect.stringContaining("WebSocket")]);
  });

  it("runs the source's three curl examples, field by field", async () => {
    const curl = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { stdout } = await promisify(execFile)("curl", ["-sS", ...args]);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const auth = ["-H", `Authorization: Bearer ${member.token}`, "-H", `x-tenant-id: ${member.tenantId}`];
    const created = await curl("-X", "POST", `${api.url}/v1/jobs`, ...auth, "-H", "Content-Type: application/json", "-d",
      '{"jobType":"EMAIL_SEND","input":{"to":"test@example.com"}}'); // prettier-ignore
    expect(created).toEqual({ ok: true, id: expect.stringMatching(/^[0-9a-f-]{36}$/), status: "queued" });
    const listed = await curl(`${api.url}/v1/jobs/list?org_id=${member.tenantId}&user_id=someone`, ...auth);
    const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(listed).toEqual({
      ok: true,
      org_id: member.tenantId,
      user_id: "someone",
      items: expect.arrayContaining([
        {
          id: created["id"],
          jobType: "EMAIL_SEND",
          status: "queued",
          priority: 0,
          input: { to: "test@example.com" },
          output: null,
          error: null,
          startedAt: null,
          finishedAt: null,
          createdAt: instant,
          updatedAt: instant,
        },
      ]),
      ts: instant,
    });
    expect(await curl("-X", "DELETE", `${api.url}/v1/jobs/${String(created["id"])}`, ...auth)).toEqual({ ok: true });
  });
});
