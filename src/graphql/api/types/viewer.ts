import { Field, ID, Int, ObjectType } from "type-graphql";
import type { MemberRole, SeatType } from "../../../words.js";
import { MemberRoleName, SeatTypeName } from "./enums.js";
import { NodeType } from "./node.js";
import { DateTime } from "./scalars.js";

/** GraphQL's `DailyJobs`. */
@ObjectType("DailyJobs", { description: "The jobs that a member may create today (UTC).", simpleResolvers: true })
export class DailyJobsType {
  @Field(() => Int, { nullable: true, description: "At most; null: no limit." })
  limit!: number | null;

  @Field(() => Int, { description: "Created today." })
  used!: number;

  @Field(() => Int, { nullable: true, description: "Left today; null: no limit." })
  remaining!: number | null;

  @Field(() => DateTime, { description: "The next midnight UTC." })
  resetsAt!: Date;
}

/** GraphQL's `Viewer`; `id` and `dailyJobs` are resolved only when they are asked for. */
@ObjectType("Viewer", { description: "Who asks: a member of the tenant.", implements: NodeType, simpleResolvers: true })
export class ViewerType {
  @Field(() => ID, { description: "The user: the token's sub." })
  userId!: string;

  @Field(() => ID, { description: "The tenant: the x-tenant-id header." })
  tenantId!: string;

  @Field(() => MemberRoleName, { description: "What the user may do in the tenant." })
  role!: MemberRole;

  @Field(() => SeatTypeName, { description: "The user's seat in the tenant." })
  seatType!: SeatType;
}
