import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { ask } from "../support/graphql.js";

/** 240 kB each: so many are more than an answer holds. */
const JOBS = 40;
const MIB = 2 ** 20;

const api = useApi();
const member = useMember(api);
beforeAll(async () => {
  await asSuperuser(
    `insert into jobs (tenant_id, job_type, input)
     select '${member.tenantId}', 'T' || n, jsonb_build_object('text', repeat('x', 240000)) from generate_series(1, ${JOBS}) n`,
    api.own.superuserUrl,
  );
});

interface Page {
  nodes: { id: string; jobType: string; input?: { text: string } }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; endCursor: string; startCursor: string };
}

const query = (fields: string) => `query ($first: Int, $after: String, $last: Int, $before: String) {
  jobs(first: $first, after: $after, last: $last, before: $before) {
    nodes { id jobType ${fields} } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }
  fragment more on Job { input }`;

describe("a page with large inputs", () => {
  it("is shorter than asked for, and every job is on one of the pages, forward and backward", async () => {
    for (const [size, cursor, more, next] of [
      ["first", "after", "hasNextPage", "endCursor"],
      ["last", "before", "hasPreviousPage", "startCursor"],
    ] as const) {
      const seen = new Set<string>();
      let place: string | null = null;
      let pages = 0;
      for (let goesOn = true; goesOn; pages += 1) {
        const { nodes, pageInfo }: Page = await ask<Page>(api, member, query("...more"), {
          [size]: 200,
          [cursor]: place,
        });
        for (const { id, input } of nodes) seen.add(input?.text.length === 240_000 ? id : "");
        place = pageInfo[next];
        goesOn = pageInfo[more];
      }
      expect(seen.size).toBe(JOBS);
      expect(pages).toBe(3);
    }
  });

  it("is whole when they are not selected", async () => {
    const { nodes, pageInfo } = await ask<Page>(api, member, query("").split("fragment")[0] ?? "", { first: 200 });
    expect([nodes.length, pageInfo.hasNextPage]).toEqual([JOBS, false]);
  });

  it("shares an answer's bound with the operation's other pages, each of which has a job at least", async () => {
    const pages = Array.from({ length: 5 }, (_, n) => `a${n}: jobs(first: 200) { nodes { input } }`).join(" ");
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: member.headers,
      body: JSON.stringify({ query: `{ ${pages} }` }),
    });
    const text = await response.text();
    const { data } = JSON.parse(text) as { data: Record<string, { nodes: unknown[] }> };
    expect(Math.min(...Object.values(data).map(({ nodes }) => nodes.length))).toBeGreaterThan(0);
    expect(text.length).toBeLessThan(6 * MIB);
  });

  it("is an answer that can be held, over REST too", async () => {
    const response = await fetch(`${api.url}/v1/jobs/list`, { headers: member.headers });
    const text = await response.text();
    expect(text.length).toBeLessThan(8.5 * MIB);
    expect((JSON.parse(text) as { items: unknown[] }).items.length).toBeGreaterThan(30);
  });
});
