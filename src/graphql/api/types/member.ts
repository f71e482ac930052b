import { Field, ID, ObjectType } from "type-graphql";
import { PAGE_SIZES } from "../page-arguments.js";
import type { MemberRole, SeatType } from "../../../words.js";
import { costOfRow } from "../complexity.js";
import { MemberRoleName, SeatTypeName } from "./enums.js";
import { PageInfoType } from "./page-info.js";
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

/** GraphQL's `MemberEdge`. */
@ObjectType("MemberEdge", { description: "A member and their place in the list.", simpleResolvers: true })
export class MemberEdgeType {
  @Field(() => String, { description: "Their place; opaque." })
  cursor!: string;

  @Field(() => MemberType, { description: "The member." })
  node!: MemberType;
}

/** GraphQL's `MemberConnection`. */
@ObjectType("MemberConnection", {
  description: `Relay connection of members, in the order of their ids; ${PAGE_SIZES}.`,
  simpleResolvers: true,
})
export class MemberConnectionType {
  @Field(() => [MemberEdgeType], { complexity: costOfRow, description: "The page's members with their cursors." })
  edges!: MemberEdgeType[];

  @Field(() => [MemberType], { complexity: costOfRow, description: "The page's members." })
  nodes!: MemberType[];

  @Field(() => PageInfoType, { description: "Where this page lies in the list." })
  pageInfo!: PageInfoType;
}
