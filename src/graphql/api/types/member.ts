import { Field, ID, ObjectType } from "type-graphql";
import { PAGE_SIZES } from "../page-arguments.js";
import type { MemberRole, SeatType } from "../../../words.js";
import { MemberRoleName, SeatTypeName } from "./enums.js";
import { connectionType } from "./connection.js";
import { DateTime } from "./scalars.js";
import { DailyJobsType } from "./viewer.js";

/** GraphQL's `Member`. */
@ObjectType("Member", { description: "A member of the tenant, as its owners see them.", simpleResolvers: true })
export class MemberType {
  @Field(() => ID, { description: "The user." })
  userId!: string;

  @Field(() => MemberRoleName, { description: "What they may do." })
  role!: MemberRole;

  @Field(() => SeatTypeName, { description: "Their seat." })
  seatType!: SeatType;

  @Field(() => DateTime, { description: "When they became a member." })
  createdAt!: Date;

  @Field(() => DailyJobsType, { description: "What they have used of today." })
  dailyJobs!: DailyJobsType;
}

/** GraphQL's `MemberConnection`. */
@ObjectType("MemberConnection", {
  description: `Relay connection of members, in the order of their ids; ${PAGE_SIZES}.`,
  simpleResolvers: true,
})
export class MemberConnectionType extends connectionType<MemberType>("Member", MemberType, {
  article: "A",
  noun: "member",
  whose: "their",
}) {}
