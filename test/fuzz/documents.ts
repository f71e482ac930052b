import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isLeafType,
  isRequiredArgument,
  type OperationTypeNode,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
} from "graphql";
import { anyValue, type Known, literalOf, rightValue } from "./arguments.js";
import type { Choices } from "./choices.js";

export interface Operation {
  query: string;
  variables: Record<string, unknown>;
}

type Field = GraphQLField<unknown, unknown>;

const MAX_FIELDS = 80;

/** Writes one valid operation on the schema: arguments as literals and variables, aliases, fragments, directives. */
export class DocumentBuilder {
  private readonly definitions: string[] = [];
  private readonly fragments: string[] = [];
  private readonly variables: [name: string, value: unknown][] = [];
  private fields = 0;
  private names = 0;

  constructor(
    private readonly schema: GraphQLSchema,
    private readonly known: Known,
    private readonly choices: Choices,
  ) {}

  operation(kind: `${OperationTypeNode}`): Operation {
    const root = this.schema.getRootType(kind as OperationTypeNode) as GraphQLObjectType;
    const depth = 1 + this.choices.below(12);
    const selection =
      kind === "subscription"
        ? `{ ${this.field(this.choices.of(Object.values(root.getFields())), depth)} }`
        : this.selection(root, depth);
    return this.written(kind, selection);
  }

  /** An operation with one field, one of whose arguments is a variable of whatever value. */
  operationWithWrongVariable(kind: `${OperationTypeNode}`): Operation {
    const root = this.schema.getRootType(kind as OperationTypeNode) as GraphQLObjectType;
    const field = this.choices.of(Object.values(root.getFields()).filter(({ args }) => args.length > 0));
    const wrong = this.choices.of(field.args);
    const given = field.args
      .filter((arg) => arg === wrong || isRequiredArgument(arg))
      .map((arg) => `${arg.name}: ${arg === wrong ? this.wrongly(arg.type) : this.value(arg.type)}`);
    return this.written(kind, `{ ${field.name}(${given.join(", ")})${this.below(field, 2)} }`);
  }

  private written(kind: string, selection: string): Operation {
    const definitions = this.definitions.length === 0 ? "" : `(${this.definitions.join(", ")})`;
    return {
      query: [`${kind} O${definitions} ${selection}`, ...this.fragments].join("\n"),
      variables: Object.fromEntries(this.variables),
    };
  }

  private selection(type: GraphQLObjectType, depth: number): string {
    const fields = this.fieldsOf(type, depth);
    const parts = Array.from({ length: 1 + this.choices.below(4) }, () => this.part(type, fields, depth));
    return `{ ${parts.join(" ")} }`;
  }

  private fieldsOf(type: GraphQLObjectType, depth: number): Field[] {
    const leaves = (field: Field): boolean =>
      isLeafType(getNamedType(field.type)) && !field.args.some(isRequiredArgument);
    const fields = Object.values(type.getFields()).toSorted((a, b) => Number(leaves(b)) - Number(leaves(a)));
    if (depth <= 0 || this.fields > MAX_FIELDS) return fields.filter(leaves);
    return type === this.schema.getQueryType() ? [...fields, SchemaMetaFieldDef, TypeMetaFieldDef] : fields;
  }

  private part(type: GraphQLObjectType, fields: readonly Field[], depth: number): string {
    if (fields.length === 0 || this.choices.oneIn(12)) return `${this.alias(6)}__typename${this.directive()}`;
    if (depth <= 0 || this.fields > MAX_FIELDS || !this.choices.oneIn(8))
      return this.field(this.choices.of(fields), depth);
    const condition = this.choices.below(2) === 0 ? ` on ${type.name}` : "";
    const inner = this.selection(type, depth - 1);
    if (this.choices.below(2) === 0) return `...${condition}${this.directive()} ${inner}`;
    const name = this.name("F");
    this.fragments.push(`fragment ${name} on ${type.name} ${inner}`);
    return `...${name}${this.directive()}`;
  }

  private field(field: Field, depth: number): string {
    this.fields += 1;
    const given = field.args
      .filter((arg) => isRequiredArgument(arg) || this.choices.oneIn(2))
      .map((arg) => `${arg.name}: ${this.value(arg.type)}`);
    // Two fields of one name and other arguments cannot be merged.
    const alias = this.alias(given.length > 0 ? 1 : 6);
    const args = given.length > 0 ? `(${given.join(", ")})` : "";
    const directive = depth > 0 && field.name !== "jobStatusChanged" ? this.directive() : "";
    return `${alias}${field.name}${args}${directive}${this.below(field, depth)}`;
  }

  private below(field: Field, depth: number): string {
    const type = getNamedType(field.type);
    return isLeafType(type) ? "" : ` ${this.selection(type as GraphQLObjectType, depth - 1)}`;
  }

  private value(type: GraphQLInputType): string {
    const value = rightValue(type, this.known, this.choices);
    const literal = this.choices.below(2) === 0 ? literalOf(value, type) : null;
    return literal ?? this.variable(String(type), value);
  }

  private wrongly(type: GraphQLInputType): string {
    return this.variable(String(type), anyValue(this.choices));
  }

  private variable(type: string, value: unknown): string {
    const name = this.name("v");
    this.definitions.push(`$${name}: ${type}`);
    this.variables.push([name, value]);
    return `$${name}`;
  }

  private directive(): string {
    if (!this.choices.oneIn(6)) return "";
    const name = this.choices.of(["include", "skip"]);
    const literal = String(this.choices.below(2) === 0);
    const condition = this.choices.below(2) === 0 ? literal : this.variable("Boolean!", literal === "true");
    return ` @${name}(if: ${condition})`;
  }

  private alias(oneIn: number): string {
    return oneIn === 1 || this.choices.oneIn(oneIn) ? `${this.name("a")}: ` : "";
  }

  private name(prefix: string): string {
    this.names += 1;
    return `${prefix}${this.names}`;
  }
}

const PIECES = ["{", "}", "(", ")", "[", "]", "$", "@", "!", ":", "=", "|", "&", "...", '"', '"""', "#", "\0", "\ufeff", "é", "-", "1e999", "99999999999999999999", "null", "on", "fragment", "query", "mutation", "subscription", "__proto__", "constructor", "@include", "$x", "extend", "type"]; // prettier-ignore

/** A document with some of its tokens dropped, doubled, exchanged or replaced: most often no longer valid. */
export function damaged(document: string, choices: Choices): string {
  const tokens = document.match(/"(?:[^"\\]|\\.)*"|\.{3}|[$@]?\w+|\S/g) ?? [];
  for (let edits = 1 + choices.below(4); edits > 0; edits -= 1) {
    const at = choices.below(tokens.length || 1);
    const other = tokens[choices.below(tokens.length || 1)] ?? "";
    const edit = choices.of([[], [tokens[at] ?? "", tokens[at] ?? ""], [other], [choices.of(PIECES)]]);
    tokens.splice(at, 1, ...edit);
  }
  return tokens.join(" ");
}
