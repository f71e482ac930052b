import pg from "pg";

/** A job as the table has it at the end. */
interface JobRow {
  id: string;
  tenant_id: string;
  status: string;
  version: number;
}

export interface EventRow {
  id: string;
  tenant_id: string;
  job_id: string;
  job_type: string;
  version: number;
  position: string;
  /** null: the job was created. */
  previous_status: string | null;
  /** null: the job was deleted. */
  status: string | null;
  attempt: number;
  actor: string;
  worker_id: string | null;
  /** ms since 1970. */
  on: number;
}

/** What the database says of itself: the jobs, and every event in the log's order. */
export interface Log {
  jobs: JobRow[];
  events: EventRow[];
  /** Each job's events, in the order of their versions. */
  byJob: Map<string, EventRow[]>;
}

export async function openQuery(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    rows: async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> => (await client.query<Row>(sql)).rows,
    end: () => client.end(),
  };
}

export async function readLog(url: string): Promise<Log> {
  const query = await openQuery(url);
  const jobs = await query.rows<JobRow>("select id, tenant_id, status, version from jobs");
  const events = await query.rows<EventRow>(
    "select *, extract(epoch from occurred_at)::float8 * 1000 as on from job_events order by position, id",
  );
  await query.end();
  const byJob = Map.groupBy(events, (event) => event.job_id);
  for (const own of byJob.values()) own.sort((a, b) => a.version - b.version);
  return { jobs, events, byJob };
}
