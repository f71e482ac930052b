import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";
import { OperationTypeNode, parse } from "graphql";
import { GraphQLClient } from "graphql-request";
import { createClient } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { useApi, useMember } from "../support/api.js";
import { openDatabaseProxy } from "../support/database-proxy.js";
import { ask, send } from "../support/graphql.js";
import { until } from "../support/until.js";
import { socketOf, watch } from "../support/watch.js";

const CREATE = `mutation ($type: String!) { createJob(input: {jobType: $type}) { job { id status } eventCursor } }`;
const JOB = `query ($id: ID!) { job(id: $id) { id jobType } }`;
const WATCH = `subscription ($after: EventCursor) { jobStatusChanged(after: $after) { jobId status } }`;

interface Created {
  createJob: { job: { id: string; status: string }; eventCursor: string };
}

const api = useApi();
const member = useMember(api);
/** What a user of any client must name, and nothing else. */
let headers: { authorization: string; "x-tenant-id": string };
beforeAll(async () => {
  headers = { authorization: `Bearer ${member.token}`, "x-tenant-id": member.tenantId };
});

describe("clients", () => {
  it("serves Apollo Client: query and mutation over HTTP, subscription over graphql-ws", async () => {
    const socket = createClient({ url: api.wsUrl, connectionParams: headers });
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.split(
        ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
        new GraphQLWsLink(socket),
        new HttpLink({ uri: `${api.url}/graphql`, headers }),
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

  it("lets two components of Apollo Client ask for a part of the viewer each, once", async () => {
    let asked = 0;
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: new HttpLink({
        uri: `${api.url}/graphql`,
        headers,
        fetch: (...request) => {
          asked += 1;
          return fetch(...request);
        },
      }),
    });
    const seen: unknown[] = [];
    const parts = ["userId", "seatType"].map((field) =>
      client.watchQuery({ query: gql(`query { viewer { id ${field} } }`) }).subscribe(({ data }) => seen.push(data)),
    );
    await until(() => client.readQuery({ query: gql(`{ viewer { id userId seatType } }`) }));
    // Whoever's part is gone would ask again, and take the other's away.
    await client.query({ query: gql(`{ viewer { id tenantId } }`) });
    expect(client.readQuery({ query: gql(`{ viewer { id userId seatType tenantId } }`) })).not.toBeNull();
    expect(asked).toBe(3);
    for (const part of parts) part.unsubscribe();
    client.stop();
  });

  it("serves urql: query and mutation over HTTP, subscription over graphql-ws", async () => {
    const socket = createClient({ url: api.wsUrl, connectionParams: headers });
    const client = new Client({
      url: `${api.url}/graphql`,
      fetchOptions: { headers },
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

  it("serves graphql-request", async () => {
    const client = new GraphQLClient(`${api.url}/graphql`, { headers });
    const { job } = (await client.request<Created>(CREATE, { type: "REQUEST" })).createJob;
    expect(await client.request(JOB, { id: job.id })).toEqual({ job: { id: job.id, jobType: "REQUEST" } });
    await expect(client.request(JOB, { id: "x" })).rejects.toMatchObject({
      response: { status: 200, errors: [{ extensions: { code: "BAD_USER_INPUT" } }] },
    });
  });

  it("serves GraphiQL's fetcher, with what stands under its headers", async () => {
    const fetcher = createGraphiQLFetcher({ url: `${api.url}/graphql`, subscriptionUrl: api.wsUrl, fetch });
    // Each of its answers is a stream, since one may come in parts.
    const first = async <T>(query: string, variables: object): Promise<T> => {
      const answers = await fetcher({ query, variables }, { headers, documentAST: parse(query) });
      for await (const answer of answers as AsyncIterable<T>) return answer;
      throw new Error("no answer came");
    };
    const { data } = await first<{ data: Created }>(CREATE, { type: "GRAPHIQL" });
    const { job, eventCursor } = data.createJob;
    expect(job.status).toBe("QUEUED");
    expect(await first(WATCH, { after: eventCursor })).toEqual({
      data: { jobStatusChanged: { jobId: job.id, status: "QUEUED" } },
    });
  });

  it("serves the EventSource of browsers and a client made for fetch: each resumes where it was cut off", async () => {
    const proxy = await openDatabaseProxy(api.url);
    const { eventCursor } = await ask<{ eventCursor: string }>(api, member, `{ jobs(first: 1) { eventCursor } }`);
    const url = `${proxy.url}v1/jobs/events?after=${encodeURIComponent(eventCursor)}`;
    const seen: Record<"EventSource" | "eventsource-client", string[]> = { EventSource: [], "eventsource-client": [] };
    const see = (by: keyof typeof seen) => (message: { data: string }) => {
      const { jobType } = JSON.parse(message.data) as { jobType?: string };
      if (jobType !== undefined) seen[by].push(jobType);
    };
    const source = new EventSource(url, {
      fetch: (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...headers } }),
    });
    source.addEventListener("message", see("EventSource"));
    const client = createEventSource({ url, headers, onMessage: see("eventsource-client") });
    const types: string[] = [];
    for (const state of ["there", "away", "there", "away", "there"] as const) {
      proxy.set(state);
      const type = `EVENT_${types.length}`;
      types.push(type);
      await ask(api, member, CREATE, { type });
      if (state === "there")
        await until(() => seen.EventSource.includes(type) && seen["eventsource-client"].includes(type));
    }
    expect(seen).toEqual({ EventSource: types, "eventsource-client": types });
    source.close();
    client.close();
    await proxy.close();
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
