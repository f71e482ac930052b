import { parseHandlerModule } from "../../src/handlers/handler-module.js";
import type { Json, JsonObject } from "../../src/handlers/handler.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const inputSchema = {
  type: "object",
  properties: {
    month: { type: "string", pattern: "^[0-9]{4}-[0-9]{2}$" },
    pages: { type: "array", items: { $ref: "#/$defs/page" }, maxItems: 2 },
  },
  required: ["month"],
  additionalProperties: false,
  $defs: { page: { type: "integer", minimum: 1 } },
};

const withSchema = (schema: unknown) =>
  parseHandlerModule({ default: (input: JsonObject) => ({ got: input }), inputSchema: schema }).handler;

describe("a job type's input schema", () => {
  it("lets an input that fits through as it is", async () => {
    const input = { month: "2026-11", pages: [1, 2] };
    expect(await attemptOf(withSchema(inputSchema), input, contextOf())).toEqual({ got: input });
  });

  it.each<[string, JsonObject, string]>([
    ["lacks a field", {}, "input must have required property 'month'"],
    ["has a field too many", { month: "2026-11", n: 1 }, "input must NOT have additional properties: n"],
    ["has a bad value", { month: "May" }, 'input.month must match pattern "^[0-9]{4}-[0-9]{2}$"'],
    [
      "has several faults, of which the first is named",
      { month: "2026-11", pages: [0, "x", 1] },
      "input.pages must NOT have more than 2 items",
    ],
  ])("fails the job at once when its input %s", async (_, input, message) => {
    const failure = await failureOf(attemptOf(withSchema(inputSchema), input, contextOf()));
    expect(failure).toMatchObject({ permanent: true, code: "invalid_input", message });
  });

  it("takes a whole number beyond a double for one, and leaves it exact", async () => {
    const input = { month: "2026-11", pages: [2n ** 64n] } as unknown as JsonObject;
    expect(await attemptOf(withSchema(inputSchema), input, contextOf())).toEqual({ got: input });
  });

  it("compares no items of a list that has too many", async () => {
    const schema = { properties: { tags: { type: "array", maxItems: 2, uniqueItems: true } } };
    const failure = await failureOf(attemptOf(withSchema(schema), { tags: [1, 1, 1] }, contextOf()));
    expect(failure.message).toBe("input.tags must NOT have more than 2 items");
  });

  it("may have alternatives, and the name of another type's", async () => {
    const oneOf = [{ required: ["to"] }, { required: ["list"] }];
    for (const handler of [1, 2].map(() =>
      withSchema({ $id: "https://schemas.example/mail", type: "object", oneOf }),
    )) {
      expect(await attemptOf(handler, { to: "x" }, contextOf())).toEqual({ got: { to: "x" } });
      expect(await failureOf(attemptOf(handler, {}, contextOf()))).toMatchObject({ code: "invalid_input" });
    }
  });

  it("holds for a handler that another one runs", async () => {
    const handlers = new Map([["REPORT", parseHandlerModule({ default: () => null, inputSchema })]]);
    await expect(contextOf({ handlers }).run("REPORT", {})).rejects.toMatchObject({ code: "invalid_input" });
  });

  it.each<[string, Json]>([
    ["a number", 7],
    ["an unknown type", { type: "text" }],
    ["an unknown keyword", { type: "object", require: ["month"] }],
    ["an unknown format", { type: "object", properties: { to: { type: "string", format: "mail" } } }],
    ["a pattern that is none", { type: "object", properties: { to: { type: "string", pattern: "(" } } }],
    ["a reference to nowhere", { $ref: "https://schemas.example/report.json" }],
  ])("stops the start when it is %s", (_, schema) => {
    expect(() => withSchema(schema)).toThrow(/^its export inputSchema must be a JSON Schema/);
  });
});
