import { randomUUID } from "node:crypto";
import { readCursorKey } from "../../src/database/installation.js";
import { Cursors } from "../../src/services/cursors.js";
import { EVENT_PLACE } from "../../src/services/event-place.js";
import { JOB_EVENT_PLACE } from "../../src/services/job-history.js";
import { JOB_PLACE } from "../../src/services/read-jobs.js";
import { MEMBER_PLACE } from "../../src/services/member-service.js";
import { useApi } from "../support/api.js";
import { ask, send } from "../support/graphql.js";
import { exchange } from "./exchange.js";
import type { World } from "./rows.js";
import type { Tenancy } from "./tenancy.js";
import { createWorld } from "./world.js";

type Kind = "pageCursor" | "eventCursor" | "versionCursor" | "memberCursor";

/** Where each kind of cursor goes. */
const PLACES: Record<Kind, string> = {
  pageCursor:
    "query ($id: ID!, $cursor: String) { jobs(after: $cursor, first: 1) { eventCursor } job(id: $id) { id } }",
  eventCursor:
    "query ($id: ID!, $cursor: EventCursor) { jobEvents(after: $cursor) { eventCursor } job(id: $id) { id } }",
  memberCursor:
    "query ($id: ID!, $cursor: String) { members(after: $cursor) { pageInfo { endCursor } } job(id: $id) { id } }",
  versionCursor: "query ($id: ID!, $cursor: String) { job(id: $id) { events(after: $cursor) { eventCursor } } }",
};
const KINDS = Object.keys(PLACES) as Kind[];

const api = useApi();
let world: World;
let cursors: Cursors;
beforeAll(async () => {
  world = await createWorld(api);
  cursors = new Cursors(await readCursorKey(api.database));
});

/** Gives a cursor to the place for a kind. @returns the error's code; undefined when it is taken. */
async function give(kind: Kind, cursor: string, { member, jobs }: Tenancy = world.attacker): Promise<unknown> {
  const { errors } = await send(api, PLACES[kind], { id: jobs.completed, cursor }, member.headers);
  return errors?.[0]?.extensions["code"];
}

const flip = (cursor: string, byte: number): string => {
  const bytes = Buffer.from(cursor, "base64url");
  bytes[byte]! ^= 1 << (byte % 8);
  return bytes.toString("base64url");
};

describe.each(KINDS)("a %s", (kind) => {
  it("is taken from whom it was given to, and from nobody else", async () => {
    for (const cursor of world.attacker.named[kind]) expect(await give(kind, cursor)).toBeUndefined();
    for (const cursor of world.victim.named[kind]) {
      expect(await give(kind, cursor, world.victim)).toBeUndefined();
      expect(await give(kind, cursor)).toBe("INVALID_CURSOR");
    }
  });

  it("is refused with any byte changed, cut, added, or written in another way", async () => {
    const [cursor = ""] = world.attacker.named[kind];
    const bytes = Buffer.from(cursor, "base64url");
    const altered = [
      ...[...bytes.keys()].map((byte) => flip(cursor, byte)),
      bytes.subarray(1).toString("base64url"),
      bytes.subarray(0, -1).toString("base64url"),
      Buffer.concat([bytes, Buffer.alloc(1)]).toString("base64url"),
      `${cursor}=`,
      ` ${cursor}`,
      `${cursor.slice(0, 4)}.${cursor.slice(4)}`,
    ];
    for (const other of altered) expect([other, await give(kind, other)]).toEqual([other, "INVALID_CURSOR"]);
  });

  it("is no cursor of another kind", async () => {
    for (const other of KINDS.filter((one) => one !== kind)) {
      for (const cursor of world.attacker.named[other]) expect(await give(kind, cursor)).toBe("INVALID_CURSOR");
    }
  });
});

describe("cursors", () => {
  it("of two tenants differ at the same place, in every part", async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const jobId = randomUUID();
    const job = { priority: 0, createdAt: new Date(), id: jobId };
    const made: ((tenantId: string) => string)[] = [
      (tenantId) => cursors.seal(EVENT_PLACE, tenantId, { position: 900n, id: 70n }),
      (tenantId) => cursors.seal(JOB_PLACE, tenantId, job),
      (tenantId) => cursors.seal(MEMBER_PLACE, tenantId, jobId),
      (tenantId) => cursors.seal(JOB_EVENT_PLACE, tenantId, { jobId, version: 3 }),
    ];
    for (const make of made) {
      expect(make(one)).toBe(make(one));
      // Eight characters are six bytes: alike by chance once in 2^48.
      expect(make(one).slice(0, 8)).not.toBe(make(other).slice(0, 8));
      expect(make(one).slice(-8)).not.toBe(make(other).slice(-8));
    }
  });

  it("do not tell how many events there have been, other tenants' among them", async () => {
    const page = await ask<{ edges: { cursor: string }[] }>(api, world.attacker.member, "{ jobEvents { edges { cursor } } }"); // prettier-ignore
    expect(page.edges.length).toBeGreaterThan(10);
    for (const { cursor } of page.edges) {
      const { position, id } = cursors.open(EVENT_PLACE, world.attacker.member.tenantId, cursor);
      const bytes = Buffer.from(cursor, "base64url");
      for (const told of [position, id]) {
        const plain = Buffer.alloc(8);
        plain.writeBigInt64BE(told);
        expect(bytes.includes(plain)).toBe(false);
      }
    }
  });

  it("of one job's events are refused for another job of the tenant", async () => {
    const { member, jobs, named } = world.attacker;
    const { errors } = await send(api, PLACES.versionCursor, { id: jobs.failed, cursor: named.versionCursor[0] }, member.headers); // prettier-ignore
    expect(errors?.[0]?.extensions["code"]).toBe("INVALID_CURSOR");
  });

  it("are refused by the stream of events in the same way", async () => {
    const { authorization = "", "x-tenant-id": tenant = "" } = world.attacker.member.headers;
    const { named } = world.attacker;
    for (const cursor of [...world.victim.named.eventCursor, ...named.pageCursor, ...named.versionCursor, ...named.memberCursor, flip(named.eventCursor[0]!, 20)]) {
      const headers = { authorization, "x-tenant-id": tenant, "last-event-id": cursor };
      const { status, body } = await exchange(api, { method: "GET", path: "/v1/jobs/events", headers });
      expect([status, body?.["error"]]).toEqual([400, "invalid_cursor"]);
    }
  }); // prettier-ignore
});
