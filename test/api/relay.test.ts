import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { useApi, useMember } from "../support/api.js";
import { ask, send } from "../support/graphql.js";
import { atEnd } from "../support/use.js";

/** What a Relay front end has: each fragment can be fetched anew, by itself, with other arguments. */
const SOURCE = `
graphql\`fragment source_job on Job @refetchable(queryName: "sourceJobQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
  id status
  events(first: $count, after: $cursor) @connection(key: "source_events") { edges { node { version } } }
}\`;
graphql\`fragment source_recent on Job @refetchable(queryName: "sourceRecentQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
  recent: events(last: $count, before: $cursor) @connection(key: "source_recent") { edges { node { version } } }
}\`;
graphql\`fragment source_viewer on Viewer @refetchable(queryName: "sourceViewerQuery") { dailyJobs { used } }\`;
graphql\`fragment source_jobs on Query @refetchable(queryName: "sourceJobsQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
  jobs(first: $count, after: $cursor) @connection(key: "source_jobs") { edges { node { ...source_job } } }
}\`;
graphql\`query sourcePageQuery($id: ID!) {
  job(id: $id) { ...source_job ...source_recent }
  viewer { ...source_viewer }
  ...source_jobs
}\`;
graphql\`mutation sourceCancelMutation($id: ID!) { cancelJob(id: $id) { job { ...source_job } } }\`;
graphql\`subscription sourceChangesSubscription($after: EventCursor) {
  jobStatusChanged(after: $after) { cursor job { ...source_job } }
}\`;`;

const require = createRequire(import.meta.url);
/** Where its binary is; the package has no types. */
const relayCompiler = require("relay-compiler") as string;

const api = useApi();
const member = useMember(api);
let folder: string;
/** The operations that Relay sends, by name. */
const texts: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-relay-"));
  atEnd(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "src", "__generated__"), { recursive: true });
  await cp("schema.graphql", join(folder, "schema.graphql"));
  await writeFile(join(folder, "src", "source.js"), SOURCE);
  const config = { src: "src", schema: "schema.graphql", language: "javascript" };
  await writeFile(join(folder, "relay.config.json"), JSON.stringify(config));
  await promisify(execFile)(relayCompiler, ["relay.config.json"], { cwd: folder });
  for (const name of [...SOURCE.matchAll(/\b(source\w+(?:Query|Mutation|Subscription))\b/g)].map(([, one]) => one!)) {
    const made = await readFile(join(folder, "src", "__generated__", `${name}.graphql.js`), "utf8");
    texts[name] = JSON.parse(/"text": (".*")/.exec(made)?.[1] ?? "null") as string;
  }
});

interface Events {
  edges: { node: { version: number }; cursor: string }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string };
}

const versions = ({ edges }: Events) => edges.map(({ node }) => node.version);
async function run<T>(name: string, variables: Record<string, unknown>): Promise<T> {
  const { data, errors } = await send(api, texts[name] ?? "", variables, member.headers);
  expect(errors).toBeUndefined();
  return data as T;
}

describe("what relay-compiler makes of fragments on the schema", () => {
  it("pages through a job's events from either end, by the job's id alone", async () => {
    const CREATE = `mutation { createJob(input: {jobType: "A"}) { job { id } } }`;
    const { id } = (await ask<{ job: { id: string } }>(api, member, CREATE)).job;
    for (const change of ["cancelJob", "retryJob", "cancelJob", "retryJob"]) {
      await ask(api, member, `mutation ($id: ID!) { ${change}(id: $id) { job { id } } }`, { id });
    }
    const { job, jobs } = await run<{ job: { events: Events; recent: Events }; jobs: object }>("sourcePageQuery", {
      id,
    });
    expect([versions(job.events), versions(job.recent)]).toEqual([
      [1, 2],
      [4, 5],
    ]);
    expect(jobs).toMatchObject({ edges: [{ node: { id } }] });

    const { endCursor } = job.events.pageInfo;
    const next = await run<{ node: { events: Events } }>("sourceJobQuery", { id, count: 5, cursor: endCursor });
    expect(versions(next.node.events)).toEqual([3, 4, 5]);
    const { startCursor } = job.recent.pageInfo;
    const previous = await run<{ node: { recent: Events } }>("sourceRecentQuery", {
      id,
      count: 5,
      cursor: startCursor,
    });
    expect(versions(previous.node.recent)).toEqual([1, 2, 3]);
  });

  it("fetches the viewer anew", async () => {
    const { viewer } = await run<{ viewer: object }>("sourcePageQuery", { id: member.userId });
    expect(await run("sourceViewerQuery", {})).toEqual({ viewer });
  });

  it("is valid for mutations and subscriptions, too", async () => {
    expect(Object.keys(texts)).toHaveLength(7);
    expect(Object.values(texts).every((text) => /^(query|mutation|subscription) source/.test(text))).toBe(true);
  });
});
