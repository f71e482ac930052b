import {
  getNamedType,
  getNullableType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLObjectType,
  type GraphQLSchema,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from "graphql";
import { type Input, INPUTS, OUTPUTS } from "./verdicts.js";

/** What a generated operation is sent with. */
export interface Operation {
  query: string;
  variables: Record<string, unknown>;
}

/** Gives an argument or a field of an input its value; undefined leaves it out. */
export type Fill = (coordinate: string, required: boolean) => unknown;

type Field = GraphQLField<unknown, unknown>;

/** The root fields of a schema by their coordinates, `Query.job`. */
export function rootFields(schema: GraphQLSchema, kind: "query" | "mutation" | "subscription"): string[] {
  const type = rootTypes(schema)[kind];
  return Object.keys(type?.getFields() ?? {}).map((name) => `${type?.name}.${name}`);
}

/**
 * Writes an operation that asks a root field for everything; where a type comes again on the way down, for its leaves
 * alone.
 */
export function documentFor(schema: GraphQLSchema, root: string, fill: Fill): Operation {
  const { kind, field } = rootField(schema, root);
  const variables: Record<string, unknown> = {};
  const declared: string[] = [];
  const called = (coordinate: string, { name, args }: Field): string => {
    const given = args.flatMap((arg) => {
      const value = valueOf(arg, `${coordinate}(${arg.name})`, fill);
      if (value === undefined) return [];
      const variable = `v${declared.length}`;
      declared.push(`$${variable}: ${String(arg.type)}`);
      variables[variable] = value;
      return [`${arg.name}: $${variable}`];
    });
    return given.length === 0 ? name : `${name}(${given.join(", ")})`;
  };
  const selection = (of: Field, path: string[]): string => {
    const types = typesOf(schema, of).map((type) => {
      const fields = fieldsOf(type)
        .filter(([, inner]) => !path.includes(type.name) || isLeafType(getNamedType(inner.type)))
        .map(([coordinate, inner]) => called(coordinate, inner) + selection(inner, [...path, type.name]));
      return [type, fields.join(" ")] as const;
    });
    if (!isAbstractType(getNamedType(of.type))) return types.map(([, fields]) => ` { ${fields} }`).join("");
    return ` { __typename ${types.map(([type, fields]) => `... on ${type.name} { ${fields} }`).join(" ")} }`;
  };
  const body = called(root, field) + selection(field, []);
  return { query: `${kind}${declared.length === 0 ? "" : ` (${declared.join(", ")})`} { ${body} }`, variables };
}

/** The arguments and fields of inputs below a root field that name something of a tenant. */
export function attackPoints(schema: GraphQLSchema, root: string): AttackPoint[] {
  return reached(schema, root).flatMap((point) => {
    const verdict = INPUTS[point];
    return typeof verdict === "object" && "takes" in verdict ? [{ point, ...verdict }] : [];
  });
}

/** An argument or a field of an input, and its verdict. */
export type AttackPoint = { point: string } & Extract<Input, { takes: unknown }>;

/** Every field, argument and field of an input below a root field, itself included. */
export function reached(schema: GraphQLSchema, root: string): string[] {
  const { field } = rootField(schema, root);
  const coordinates = new Set<string>();
  const visitInput = (input: GraphQLArgument | GraphQLInputField, coordinate: string): void => {
    if (coordinates.has(coordinate)) return;
    coordinates.add(coordinate);
    const type = getNamedType(input.type);
    if (!isInputObjectType(type)) return;
    for (const inner of Object.values(type.getFields())) visitInput(inner, `${type.name}.${inner.name}`);
  };
  const visit = (coordinate: string, of: Field): void => {
    if (coordinates.has(coordinate)) return;
    coordinates.add(coordinate);
    for (const arg of of.args) visitInput(arg, `${coordinate}(${arg.name})`);
    for (const type of typesOf(schema, of)) for (const [inner, innerField] of fieldsOf(type)) visit(inner, innerField);
  };
  visit(root, field);
  return [...coordinates];
}

/** Every leaf of an answer with its field's coordinate; null is none. */
export function* leavesOf(schema: GraphQLSchema, root: string, value: unknown): Generator<[coordinate: string, unknown]> {
  yield* leaves(schema, root, rootField(schema, root).field, value);
} // prettier-ignore

function* leaves(
  schema: GraphQLSchema,
  coordinate: string,
  field: Field,
  value: unknown,
): Generator<[string, unknown]> {
  const types = typesOf(schema, field);
  for (const one of isListType(getNullableType(field.type)) && Array.isArray(value) ? value : [value]) {
    if (one === null || one === undefined) continue;
    if (types.length === 0) {
      yield [coordinate, one];
      continue;
    }
    const { __typename: name, ...parts } = one as Record<string, unknown>;
    for (const type of types.filter((each) => name === undefined || each.name === name))
      for (const [inner, innerField] of fieldsOf(type))
        yield* leaves(schema, inner, innerField, parts[innerField.name]);
  }
}

/** The types of object that a field can give; none for a leaf. */
function typesOf(schema: GraphQLSchema, { type }: Field): readonly GraphQLObjectType[] {
  const named = getNamedType(type);
  if (isAbstractType(named)) return schema.getPossibleTypes(named);
  return isObjectType(named) ? [named] : [];
}

function fieldsOf(type: GraphQLObjectType): [coordinate: string, field: Field][] {
  return Object.values(type.getFields()).map((field) => [`${type.name}.${field.name}`, field]);
}

function valueOf({ type }: GraphQLArgument | GraphQLInputField, coordinate: string, fill: Fill): unknown {
  const required = isNonNullType(type);
  const inList = (value: unknown): unknown => (isListType(getNullableType(type)) && !Array.isArray(value) ? [value] : value); // prettier-ignore
  const named = getNamedType(type);
  if (!isInputObjectType(named)) {
    const value = fill(coordinate, required);
    return value === undefined ? undefined : inList(value);
  }
  const fields = Object.values(named.getFields())
    .map((field) => [field.name, valueOf(field, `${named.name}.${field.name}`, fill)] as const)
    .filter(([, value]) => value !== undefined);
  return fields.length === 0 && !required ? undefined : inList(Object.fromEntries(fields));
}

function rootField(schema: GraphQLSchema, root: string): { kind: string; field: Field } {
  const [of = "", name = ""] = root.split(".");
  for (const [kind, type] of Object.entries(rootTypes(schema))) {
    const field = type?.name === of ? type.getFields()[name] : undefined;
    if (field !== undefined) return { kind, field };
  }
  throw new Error(`the schema has no ${root}`);
}

function rootTypes(schema: GraphQLSchema) {
  return {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  };
}

/** What of a schema has no verdict, and which verdicts are of nothing in it. */
export function unjudged(schema: GraphQLSchema): { missing: string[]; stale: string[] } {
  const kinds = ["query", "mutation", "subscription"] as const;
  const all = new Set(kinds.flatMap((kind) => rootFields(schema, kind).flatMap((root) => reached(schema, root))));
  const judged = new Set(Object.entries(OUTPUTS).flatMap(([type, fields]) => Object.keys(fields).map((name) => `${type}.${name}`))); // prettier-ignore
  for (const coordinate of Object.keys(INPUTS)) judged.add(coordinate);
  return {
    missing: [...all].filter((coordinate) => !judged.has(coordinate)),
    stale: [...judged].filter((coordinate) => !all.has(coordinate)),
  };
}
