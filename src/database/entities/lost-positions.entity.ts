import { defineEntity, p } from "@mikro-orm/postgresql";

/** Positions whose events the log has lost: those between the last that it has kept and the next that it gave. */
export const LostPositionsEntity = defineEntity({
  name: "LostPositions",
  tableName: "lost_positions",
  properties: {
    nextPosition: p.bigint("bigint").primary(),
    keptPosition: p.bigint("bigint"),
    foundAt: p.datetime(3).defaultRaw("now()"),
  },
});
