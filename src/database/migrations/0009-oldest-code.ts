import { Migration } from "@mikro-orm/migrations";

/** Where the schema says how old the code may be that runs on it: `checkSchema` asks at each start. */
export class OldestCodeMigration extends Migration {
  override name = "0009-oldest-code";

  override up(): void {
    this.addSql("alter table installation add column oldest_code integer not null default 0");
  }
}
