import { Migration } from "@mikro-orm/migrations";

// A worker knows what a job's type names, an API process need not: so its first claim decides. The old columns keep their
// meaning, which processes of the version before rely on while they run beside this one's.
const JOB_TYPE_SETTINGS = `
alter table jobs
  add column max_attempts_by_type boolean not null default false,
  add column attempt_timeout_ms integer,
  add constraint jobs_attempt_timeout_check check (attempt_timeout_ms > 0);
`;

/** Lets a job's type name its attempts and its timeout. */
export class JobTypeSettingsMigration extends Migration {
  override name = "0007-job-type-settings";

  override up(): void {
    this.addSql(JOB_TYPE_SETTINGS);
  }
}
