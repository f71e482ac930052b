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
import { AtlasError } from "../errors.js";
import { MAX_ERRORS } from "./errors.js";
import { checkVariables } from "./variable-bounds.js";

/*
 * What an operation costs: about how many rows it reads, writes or shows, known before it runs. A field without a
 * `complexity` costs what is selected of it.
 */

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 200;
const COST_OF_SCAN = 200;

interface Estimated {
  args: Record<string, unknown>;
  childComplexity: number;
}

/** For a field that gives a page: what is selected of a row, for as many rows as `first` or `last` asks for. */
export function costOfPage({ args, childComplexity }: Estimated): number {
  const asked = args["first"] ?? args["last"];
  const rows = typeof asked === "number" ? Math.min(Math.max(asked, 1), MAX_PAGE_SIZE) : DEFAULT_PAGE_SIZE;
  return 1 + rows * Math.max(childComplexity, 1);
}

/** For the jobs, whose total is counted by a scan where the filter asks for instants. */
export function costOfJobs({ args, childComplexity }: Estimated): number {
  const filter = Object(args["filter"]) as Record<string, unknown>;
  const scan = filter["createdAfter"] == null && filter["createdBefore"] == null ? 0 : COST_OF_SCAN;
  return scan + costOfPage({ args, childComplexity });
}

/** For a field that takes a list: what is selected of a row, for each of the list. */
export function costOfList({ args, childComplexity }: Estimated): number {
  return (Array.isArray(args["input"]) ? args["input"].length : 1) * Math.max(childComplexity, 1);
}

/** For a field that gives a row, or one for each row of a page. */
export function costOfRow({ childComplexity }: Estimated): number {
  return 1 + childComplexity;
}

/** For a list whose length nobody knows before: so many rows as it has as a rule. */
export function costOfSome(rows: number): (estimated: Estimated) => number {
  return ({ childComplexity }) => rows * (1 + childComplexity);
}

/** About so many does each list of the schema's own have. Without it a page of introspection could run for seconds. */
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
  const coerced = getVariableValues(schema, variableDefinitions, variables, { maxErrors: MAX_ERRORS });
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
