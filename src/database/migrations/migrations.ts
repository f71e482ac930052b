import { InitialMigration } from "./0001-initial.js";
import { EventHeadMigration } from "./0002-event-head.js";
import { EventHeadOfTheLoginMigration } from "./0003-event-head-of-the-login.js";
import { LostPositionsMigration } from "./0004-lost-positions.js";
import { EventHeadWithoutSequentialScansMigration } from "./0005-event-head-without-sequential-scans.js";
import { JobTypeSettingsMigration } from "./0007-job-type-settings.js";
import { OldestCodeMigration } from "./0009-oldest-code.js";
import { JobOriginMigration } from "./0010-job-origin.js";
import { ClaimInTurnsMigration } from "./0011-claim-in-turns.js";
import { OnePositionATransactionMigration } from "./0012-one-position-a-transaction.js";

/**
 * Every migration, in order. One that has landed is never edited. Code that does not know a migration goes on running on
 * it: it adds only, and what it takes away no code has used since the version before. One that older code cannot run on all the
 * same says so: `update installation set oldest_code = N`, N being its own number, or that of the oldest code that can.
 */
export const migrations = [
  InitialMigration,
  EventHeadMigration,
  EventHeadOfTheLoginMigration,
  LostPositionsMigration,
  EventHeadWithoutSequentialScansMigration,
  JobTypeSettingsMigration,
  OldestCodeMigration,
  JobOriginMigration,
  ClaimInTurnsMigration,
  OnePositionATransactionMigration,
];
