import type { DocumentNode, GraphQLSchema, OperationDefinitionNode } from "graphql";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { Viewer } from "../../auth/viewer.js";
import { AtlasError } from "../../errors.js";
import { COST } from "../../limits/policies.js";
import { operationCost } from "./cost.js";

/** What an operation was charged. */
export interface Charge {
  cost: number;
  /** What its user has left of this second. */
  remaining: number;
}

/** Refuses an operation that costs too much by itself, or with what its user has run in the same second. */
export class CostLimit {
  private readonly seconds = new RateLimiterMemory({ points: COST.perSecond, duration: 1 });

  constructor(private readonly schema: GraphQLSchema) {}

  /**
   * Charges a valid operation to its viewer.
   * @param viewer null: nobody's, who asks for the schema.
   * @throws AtlasError `query_too_complex` with `cost` and `limit`; `rate_limit_exceeded`
   */
  async charge(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>> | null | undefined,
    viewer: Viewer | null,
  ): Promise<Charge> {
    const cost = operationCost(this.schema, document, operation, variables ?? {});
    const limit = operation.operation === "subscription" ? COST.change : COST.operation;
    if (cost > limit) {
      const told = Number.isFinite(cost) ? cost : "more";
      throw new AtlasError("query_too_complex", `An operation may cost ${limit}, this one costs ${told}`, {
        extensions: { cost: told, limit },
      });
    }
    const key = viewer === null ? "nobody" : `${viewer.tenantId}:${viewer.userId}`;
    try {
      const left = cost > COST.free ? await this.seconds.consume(key, cost) : await this.seconds.get(key);
      return { cost, remaining: left?.remainingPoints ?? COST.perSecond };
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      throw new AtlasError(
        "rate_limit_exceeded",
        `Operations that cost over ${COST.free} may cost ${COST.perSecond} a second; this one costs ${cost}`,
        { retryAfterSeconds: 1, extensions: { cost, limit: COST.perSecond } },
      );
    }
  }
}

/** A charge as response headers. */
export function costHeaders({ cost, remaining }: Charge): Record<string, string> {
  return { "X-Query-Cost": String(cost), "X-Query-Cost-Remaining": String(remaining) };
}
