import { InitialMigration } from "./0001-initial.js";

/** All migrations, in order. A landed one is never edited: later changes are new classes at the end. */
export const migrations = [InitialMigration];
