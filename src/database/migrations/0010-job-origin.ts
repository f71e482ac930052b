import { Migration } from "@mikro-orm/migrations";

// Rows that are there fit, since both columns are null in them: not valid spares a scan of the table under its lock, and new
// rows are checked all the same. No foreign keys: a job stays when what created it is gone.
const JOB_ORIGIN = `
alter table jobs
  add column created_by_schedule uuid,
  add column created_by_job uuid,
  add constraint jobs_origin_check check (num_nonnulls(created_by, created_by_schedule, created_by_job) <= 1) not valid;
`;

/** Lets a job come from a schedule or from another job: at most one of the three columns says where from. */
export class JobOriginMigration extends Migration {
  override name = "0010-job-origin";

  override up(): void {
    this.addSql(JOB_ORIGIN);
  }
}
