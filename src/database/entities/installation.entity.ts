import { defineEntity, p } from "@mikro-orm/postgresql";

/** The one row that describes this installation. */
export const InstallationEntity = defineEntity({
  name: "Installation",
  tableName: "installation",
  properties: {
    onlyRow: p.boolean().primary().default(true),
    systemIdentifier: p.bigint("bigint"),
    positionOffset: p.bigint("bigint").default(0),
    timeline: p.integer(),
    databaseOid: p.bigint("bigint"),
    completeBelow: p.bigint("bigint").default(0),
    prunedPosition: p.bigint("bigint").default(0),
    cursorKey: p.blob(),
    oldestCode: p.integer().default(0),
  },
});
