import { type ClassType, Field, ObjectType } from "type-graphql";
import { costOfRow } from "../complexity.js";
import { PageInfoType } from "./page-info.js";

/** How a connection's descriptions speak of a node: "A member and their place in the list." */
interface NodeWords {
  article: "A" | "An";
  noun: string;
  whose: "its" | "their";
}

/**
 * The base of a Relay connection's type, with the type of its edges.
 * @param name of the node's type: "Member" names the edge "MemberEdge".
 */
export function connectionType<Node extends object>(
  name: string,
  nodeType: ClassType,
  { article, noun, whose }: NodeWords,
) {
  @ObjectType(`${name}Edge`, {
    description: `${article} ${noun} and ${whose} place in the list.`,
    simpleResolvers: true,
  })
  class EdgeType {
    @Field(() => String, { description: `${whose === "its" ? "Its" : "Their"} place; opaque.` })
    cursor!: string;

    @Field(() => nodeType, { description: `The ${noun}.` })
    node!: Node;
  }

  @ObjectType({ simpleResolvers: true })
  class ConnectionType {
    @Field(() => [EdgeType], { complexity: costOfRow, description: `The page's ${noun}s with their cursors.` })
    edges!: EdgeType[];

    @Field(() => [nodeType], { complexity: costOfRow, description: `The page's ${noun}s.` })
    nodes!: Node[];

    @Field(() => PageInfoType, { description: "Where this page lies in the list." })
    pageInfo!: PageInfoType;
  }
  return ConnectionType;
}
