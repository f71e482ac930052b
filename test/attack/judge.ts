import type { GraphQLSchema } from "graphql";
import { readCursorKey } from "../../src/database/installation.js";
import { Cursors } from "../../src/services/cursors.js";
import { EVENT_PLACE } from "../../src/services/event-place.js";
import { JOB_EVENT_PLACE } from "../../src/services/job-history.js";
import { JOB_PLACE } from "../../src/services/read-jobs.js";
import { MEMBER_PLACE } from "../../src/services/member-service.js";
import type { TestApi } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { leavesOf } from "./documents.js";
import type { Tenancy } from "./tenancy.js";
import { type Output, OUTPUTS } from "./verdicts.js";

/** Looks at each value of an answer by its field's verdict. */
export interface Judge {
  /** @returns what a root field's value shows that is not the asker's tenant's. */
  faults(root: string, value: unknown): Promise<string[]>;
  /** The fields that it has seen a value of. */
  readonly seen: ReadonlySet<string>;
}

/** @param asker the tenant that the answers may show. */
export async function createJudge(api: TestApi, schema: GraphQLSchema, asker: Tenancy): Promise<Judge> {
  const cursors = new Cursors(await readCursorKey(api.database));
  const { tenantId, userId } = asker.member;
  const seen = new Set<string>();
  const opens = (cursor: string, jobIds: readonly string[]): boolean =>
    [
      () => cursors.open(EVENT_PLACE, tenantId, cursor),
      () => cursors.open(JOB_PLACE, tenantId, cursor),
      () => cursors.open(MEMBER_PLACE, tenantId, cursor),
      () => jobIds.includes(cursors.open(JOB_EVENT_PLACE, tenantId, cursor).jobId),
    ].some((open) => {
      try {
        return open() !== false;
      } catch {
        return false;
      }
    });
  return {
    seen,
    async faults(root, value) {
      const leaves = [...leavesOf(schema, root, value)];
      for (const [coordinate] of leaves) seen.add(coordinate);
      const jobs = (await asSuperuser(
        `select distinct job_id as id from job_events where tenant_id = '${tenantId}'`,
        api.own.superuserUrl,
      )) as { id: string }[];
      const jobIds = jobs.map(({ id }) => id);
      const own = new Set([...jobIds, tenantId, userId, asker.viewer.userId, asker.workerId, ...asker.named.nodeId]);
      const passes: Record<Output, (leaf: unknown) => boolean> = {
        id: (leaf) => own.has(String(leaf)),
        content: (leaf) => JSON.stringify(leaf).includes(asker.mark),
        cursor: (leaf) => opens(String(leaf), jobIds),
        count: (leaf) => Number(leaf) <= jobIds.length,
        plain: () => true,
        // A leaf has no parts.
        parts: () => false,
      };
      return leaves
        .filter(([coordinate, leaf]) => !passes[verdictOn(coordinate)](leaf))
        .map(([coordinate, leaf]) => `${coordinate}: ${JSON.stringify(leaf)}`);
    },
  };
}

/** The verdict on a field. @throws when there is none */
export function verdictOn(coordinate: string): Output {
  const [type = "", field = ""] = coordinate.split(".");
  const verdict = OUTPUTS[type]?.[field];
  if (verdict === undefined) throw new Error(`${coordinate} has no verdict`);
  return verdict;
}
