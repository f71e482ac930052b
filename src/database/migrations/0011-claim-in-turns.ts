import { Migration } from "@mikro-orm/migrations";

// Its tenants are walked with one probe each. The old index goes although the version before claims by it: that one's claims sort a
// type's backlog while both run, and every insert and claim would pay for a fifth index for good.
const CLAIM_IN_TURNS = `
create index jobs_claim_in_turns on jobs (job_type, tenant_id, priority desc, run_at, id) where status = 'queued' and due;
drop index jobs_claim;
alter index jobs_claim_in_turns rename to jobs_claim;
`;

/** Has the claim's index led by job type and tenant, so that tenants can take turns. */
export class ClaimInTurnsMigration extends Migration {
  override name = "0011-claim-in-turns";

  override up(): void {
    this.addSql(CLAIM_IN_TURNS);
  }
}
