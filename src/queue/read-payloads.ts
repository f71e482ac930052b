import type { Transaction } from "../database/database.js";

/** What a job was given and what it returned: large, and read only where it is wanted. */
export interface Payload {
  id: string;
  input: Record<string, unknown>;
  output: unknown;
  /** Of both as JSON. */
  bytes: number;
}

/**
 * The payloads of a tenant's jobs, in the order of their ids as given: at least the first, and as long as those before
 * stay below `maxBytes`. Jobs that are gone are left out.
 */
export async function readPayloads(
  tx: Transaction,
  tenantId: string,
  ids: readonly string[],
  maxBytes: number,
): Promise<Payload[]> {
  return tx.query(READ, [tenantId, ids, maxBytes]);
}

const READ = `/* queue.read_payloads */
select id, input, output, bytes from (
  select jobs.id, input, output, bytes, number, sum(bytes) over (order by number) - bytes as bytes_before
  from unnest($2::uuid[]) with ordinality as wanted (id, number)
  join jobs on jobs.tenant_id = $1 and jobs.id = wanted.id
  cross join lateral (select octet_length(input::text) + coalesce(octet_length(output::text), 0) as bytes) size
) measured
where bytes_before < greatest($3::bigint, 1)
order by number`;
