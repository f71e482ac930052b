import {
  type DocumentNode,
  getVariableValues,
  GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from "graphql";
import {
  type ComplexityEstimator,
  fieldExtensionsEstimator,
  getComplexity,
  simpleEstimator,
} from "graphql-query-complexity";
import { AtlasError } from "../../errors.js";
import { ERROR_REPORTS } from "../../limits/policies.js";
import { checkVariables } from "./variable-bounds.js";

/** About how many entries each list of introspection has. A query that nests them could run for seconds, and must cost much. */
const INTROSPECTED: Readonly<Record<string, number>> = {
  types: 60,
  fields: 10,
  inputFields: 8,
  enumValues: 5,
  args: 3,
  directives: 5,
};

const introspectionEstimator: ComplexityEstimator = ({ type, field, childComplexity }) =>
  type.name.startsWith("__")
    ? (INTROSPECTED[field.name] ?? 1) * (childComplexity + (field.name in INTROSPECTED ? 1 : 0))
    : undefined;

/**
 * The cost of a valid operation; 0 when its variables cannot be coerced, since it will not run; Infinity when it cannot be
 * told within bounds.
 * @param document where the operation and its fragments stand.
 * @throws AtlasError `invalid_input` for variables that are too large, or an argument that cannot be what it must be.
 */
export function operationCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const { name, variableDefinitions = [] } = operation;
  checkVariables(schema, document, operation, variables);
  const coerced = getVariableValues(schema, variableDefinitions, variables, { maxErrors: ERROR_REPORTS.errors });
  if (coerced.errors !== undefined) return 0;
  try {
    return getComplexity({
      schema,
      query: document,
      variables,
      estimators: [introspectionEstimator, fieldExtensionsEstimator(), simpleEstimator({ defaultComplexity: 0 })],
      ...(name !== undefined && { operationName: name.value }),
    });
  } catch (error) {
    if (!(error instanceof GraphQLError) || error.message.includes("maximum allowed number of nodes")) return Infinity;
    throw new AtlasError("invalid_input", error.message, { cause: error });
  }
}
