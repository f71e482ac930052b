import {
  type DocumentNode,
  getOperationAST,
  GraphQLError,
  type GraphQLSchema,
  locatedError,
  type OperationDefinitionNode,
  OperationTypeNode,
  validate,
} from "graphql";
import type { Viewer } from "../../auth/viewer.js";
import { AtlasError } from "../../errors.js";
import { ERROR_REPORTS } from "../../limits/policies.js";
import { asGraphqlError } from "../api/errors.js";
import { type Charge, CostLimit } from "./cost-limit.js";
import { readDocument } from "./document.js";

/** How an operation arrives. */
export type Transport = "http" | "socket";

/** Which operation of a document is to run, with what, and for whom. */
export interface OperationRequest {
  operationName: string | null | undefined;
  variables: Readonly<Record<string, unknown>> | null | undefined;
  /** null: a stranger, who asks for the schema alone. */
  viewer: Viewer | null;
}

/** GraphQL's own validation, over HTTP and on the socket. */
export const VALIDATION = { maxErrors: ERROR_REPORTS.errors };

/** What validation adds about names of the schema that are like an unknown one. */
const SUGGESTION = / ?Did you mean(.+?)\?$/;

/**
 * Decides which operations run. The steps are the same over HTTP and on the socket, and so are their errors:
 * 1. the document's size, and its syntax (`readDocument`)
 * 2. its validation against the schema
 * 3. its operation (`admitOperation`): which one is meant, its kind, the size of its variables, its cost.
 *
 * Over HTTP Apollo Server parses and validates by itself, between the first step and the third. To give it the document that
 * is parsed already would need a store of our own, and would save 14 µs for the document of a page.
 */
export class Admission {
  private readonly costLimit: CostLimit;

  /** @param production whether errors leave suggestions out, as Apollo does over HTTP. */
  constructor(
    private readonly schema: GraphQLSchema,
    private readonly production: boolean,
  ) {
    this.costLimit = new CostLimit(schema);
  }

  /**
   * All three steps, for an operation on the socket.
   * @returns its document, or why it may not run.
   */
  async admit(text: string, request: OperationRequest): Promise<DocumentNode | readonly GraphQLError[]> {
    try {
      const document = readDocument(text);
      const faults = validate(this.schema, document, undefined, VALIDATION);
      if (this.production) for (const fault of faults) fault.message = fault.message.replace(SUGGESTION, "");
      if (faults.length > 0) return faults.map((fault) => withCode(fault, "GRAPHQL_VALIDATION_FAILED"));
      await this.admitOperation(document, request, "socket");
      return document;
    } catch (error) {
      if (error instanceof AtlasError) return [asGraphqlError(error)];
      if (error instanceof GraphQLError) return [withCode(error, "GRAPHQL_PARSE_FAILED")];
      return [locatedError(error, undefined, [])];
    }
  }

  /**
   * The third step, for a document that is valid.
   * @returns what its user was charged.
   * @throws GraphQLError of an AtlasError `query_too_complex`, `invalid_input`, `rate_limit_exceeded`; with the code
   * `OPERATION_RESOLUTION_FAILURE` when it is not clear which operation is meant, `BAD_REQUEST` for one of a kind that the
   * transport does not take.
   */
  async admitOperation(
    document: DocumentNode,
    { operationName, variables, viewer }: OperationRequest,
    transport: Transport,
  ): Promise<Charge> {
    const operation = operationOf(document, operationName);
    checkKind(operation, transport);
    try {
      return await this.costLimit.charge(document, operation, variables, viewer);
    } catch (error) {
      throw error instanceof AtlasError ? asGraphqlError(error) : error;
    }
  }
}

/** The messages are those of GraphQL's execution. */
function operationOf(document: DocumentNode, name: string | null | undefined): OperationDefinitionNode {
  const operation = getOperationAST(document, name);
  if (operation != null) return operation;
  const several = "Must provide operation name if query contains multiple operations.";
  throw clientsFault("OPERATION_RESOLUTION_FAILURE", name == null ? several : `Unknown operation named "${name}".`);
}

function checkKind({ operation: kind }: OperationDefinitionNode, transport: Transport): void {
  const isSubscription = kind === OperationTypeNode.SUBSCRIPTION;
  if (isSubscription === (transport === "socket")) return;
  const refusal = isSubscription
    ? "Subscriptions go over WebSocket on this path, with the graphql-transport-ws protocol"
    : `The socket takes subscriptions only; send a ${kind} over HTTP`;
  throw clientsFault("BAD_REQUEST", refusal);
}

function clientsFault(code: string, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code, http: { status: 400 } } });
}

/** GraphQL's own errors have no code. */
function withCode(error: GraphQLError, code: string): GraphQLError {
  if (error.extensions["code"] !== undefined) return error;
  return new GraphQLError(error.message, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    extensions: { code },
  });
}
