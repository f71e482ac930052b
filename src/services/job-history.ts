import { PERMISSIONS } from "../auth/permissions.js";
import type { Viewer } from "../auth/viewer.js";
import { uuidFromBytes, uuidToBytes } from "../bounds/uuid.js";
import type { Database } from "../database/database.js";
import { AtlasError } from "../errors.js";
import { PAGES } from "../limits/policies.js";
import type { JobEvent } from "../queue/job-event.js";
import { type HistoryPart, readAttemptEvents, readHistories } from "../queue/read-histories.js";
import type { CursorCodec, Cursors } from "./cursors.js";
import { eventCursorOf } from "./event-place.js";
import { type JobAttempt, toAttempts } from "./job-attempts.js";
import { type LivePage, type PageInput, pageOf, partOf } from "./page.js";
import { TenantLoader } from "./tenant-loader.js";

/** A place in one job's events. */
export const JOB_EVENT_PLACE: CursorCodec<{ jobId: string; version: number }> = {
  kind: "version",
  bytes: 20,
  encode({ jobId, version }) {
    const payload = Buffer.alloc(20);
    uuidToBytes(jobId).copy(payload);
    payload.writeInt32BE(version, 16);
    return payload;
  },
  decode: (payload) => ({ jobId: uuidFromBytes(payload.subarray(0, 16)), version: payload.readInt32BE(16) }),
};

type OfTenant<T> = T & { tenantId: string };

/** Jobs whose histories one statement reads: with a page of 200 events each, at most 40,000 rows. */
const MAX_BATCH = 200;

/** What has happened to one job. Each method acts for one viewer; jobs that are asked for at once are read together. */
export class JobHistory {
  private readonly histories;
  private readonly attemptsOf;

  constructor(
    database: Database,
    private readonly cursors: Cursors,
  ) {
    this.histories = new TenantLoader(
      database,
      { maxBatchSize: MAX_BATCH, nameOf: (part: OfTenant<HistoryPart>) => JSON.stringify(part) },
      async (tx, tenantId, parts: readonly OfTenant<HistoryPart>[]) => {
        const histories = await readHistories(tx, tenantId, parts);
        return histories.map((events) => ({ events, head: tx.head }));
      },
    );
    this.attemptsOf = new TenantLoader(
      database,
      { maxBatchSize: MAX_BATCH, nameOf: ({ jobId }: OfTenant<{ jobId: string }>) => jobId },
      async (tx, tenantId, jobs: readonly OfTenant<{ jobId: string }>[]) => {
        const ids = jobs.map(({ jobId }) => jobId);
        // Two events an attempt: the one that began it, and the one that ended it.
        return (await readAttemptEvents(tx, tenantId, ids, 2 * PAGES.attempts)).map(toAttempts);
      },
    );
  }

  /**
   * A page of a job's events, up to the last one committed. Its cursors are places in the job's events,
   * not in the tenant's.
   * @throws AtlasError `invalid_input`, `invalid_cursor`
   */
  async events({ tenantId }: Viewer, jobId: string, page: PageInput): Promise<LivePage<JobEvent>> {
    const part = partOf(page);
    const { after, before, backward, limit } = part;
    const { events, head } = await this.histories.load({
      tenantId,
      jobId,
      afterVersion: after === null ? 0 : this.versionAt(tenantId, jobId, after),
      beforeVersion: before === null ? null : this.versionAt(tenantId, jobId, before),
      backward,
      limit,
    });
    return {
      ...pageOf(part, backward ? events.toReversed() : events, (event) =>
        this.cursors.seal(JOB_EVENT_PLACE, tenantId, event),
      ),
      eventCursor: eventCursorOf(this.cursors, tenantId, { head }, events),
    };
  }

  /** A job's last attempts, oldest first; without stacks for members whose role is viewer. */
  async attempts({ tenantId, role }: Viewer, jobId: string): Promise<JobAttempt[]> {
    const attempts = await this.attemptsOf.load({ tenantId, jobId });
    return PERMISSIONS[role].seeStacks ? attempts : attempts.map((attempt) => ({ ...attempt, stack: null }));
  }

  private versionAt(tenantId: string, jobId: string, cursor: string): number {
    const place = this.cursors.open(JOB_EVENT_PLACE, tenantId, cursor);
    if (place.jobId === jobId) return place.version;
    throw new AtlasError("invalid_cursor", "The cursor is not one of this job's events");
  }
}
