import { Field, ObjectType } from "type-graphql";

/** GraphQL's `PageInfo`. */
@ObjectType("PageInfo", { description: "Where a page lies in its list.", simpleResolvers: true })
export class PageInfoType {
  @Field(() => Boolean, { description: "There is more after this page." })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: "There is more before this page." })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: "The first edge's cursor; null on an empty page." })
  startCursor!: string | null;

  @Field(() => String, { nullable: true, description: "The last edge's cursor; null on an empty page." })
  endCursor!: string | null;
}
