import { InitialMigration } from "./0001-initial.js";
import { EventHeadMigration } from "./0002-event-head.js";
import { EventHeadOfTheLoginMigration } from "./0003-event-head-of-the-login.js";
import { JobTypeSettingsMigration } from "./0007-job-type-settings.js";

/** Every migration, in order. One that has landed is never edited. */
export const migrations = [
  InitialMigration,
  EventHeadMigration,
  EventHeadOfTheLoginMigration,
  JobTypeSettingsMigration,
];
