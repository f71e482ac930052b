import { Field, ID, InterfaceType } from "type-graphql";

/** GraphQL's `Node`. */
@InterfaceType("Node", {
  description: "What can be read again by its id alone.",
  // By name: the types import this one.
  resolveType: (value: object) => ("jobType" in value ? "Job" : "Viewer"),
})
export abstract class NodeType {
  @Field(() => ID, { description: "Its own among all that there is." })
  id!: string;
}
