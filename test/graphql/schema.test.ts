import { readFile } from "node:fs/promises";
import {
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
  printSchema,
} from "graphql";
import { createSchema } from "../../src/graphql/api/schema.js";

let schema: GraphQLSchema;
beforeAll(async () => {
  schema = await createSchema();
});

describe("the schema", () => {
  it("is the committed one", async () => {
    expect(`${printSchema(schema)}\n`).toBe(await readFile("schema.graphql", "utf8"));
  });

  it("describes every type, field, argument and value", () => {
    const bare: string[] = [];
    const note = (name: string, description: string | null | undefined) => {
      if (description == null || description.trim() === "") bare.push(name);
    };
    for (const type of Object.values(schema.getTypeMap())) {
      if (type.name.startsWith("__") || isSpecifiedScalarType(type)) continue;
      note(type.name, type.description);
      if (isEnumType(type)) for (const value of type.getValues()) note(`${type.name}.${value.name}`, value.description);
      if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        note(`${type.name}.${field.name}`, field.description);
        if ("args" in field)
          for (const arg of field.args) note(`${type.name}.${field.name}(${arg.name})`, arg.description);
      }
    }
    expect(bare).toEqual([]);
  });

  it.each([
    ["Job", "id: ID! jobType: String! status: JobStatus! priority: Int! input: JSONObject! output: JSON error: JobError attempt: Int! maxAttempts: Int! runAt: DateTime! startedAt: DateTime finishedAt: DateTime createdAt: DateTime! updatedAt: DateTime! createdBy: ID version: Int!"],
    ["JobError", "code: String! message: String! attempt: Int! occurredAt: DateTime!"],
    ["JobConnection", "edges: [JobEdge!]! nodes: [Job!]! pageInfo: PageInfo! totalCount: Int! eventCursor: EventCursor!"],
    ["Viewer", "userId: ID! tenantId: ID! seatType: SeatType! dailyJobs: DailyJobs!"],
    ["DailyJobs", "limit: Int used: Int! remaining: Int resetsAt: DateTime!"],
    ["JobStatusChange", "cursor: EventCursor! jobId: ID! version: Int! attempt: Int! occurredAt: DateTime! previousStatus: JobStatus status: JobStatus job: Job"],
    ["JobFilter", "status: [JobStatus!] jobType: [String!] createdAfter: DateTime createdBefore: DateTime"],
    ["JobStatusChangeFilter", "jobId: [ID!] jobType: [String!] status: [JobStatus!]"],
    ["CreateJobInput", "jobType: String! priority: Int input: JSONObject runAt: DateTime maxAttempts: Int"],
    ["Query", "job: Job jobs: JobConnection! viewer: Viewer!"],
    ["Mutation", "createJob: CreateJobPayload! createJobs: CreateJobsPayload! deleteJob: DeleteJobPayload! cancelJob: CancelJobPayload! retryJob: RetryJobPayload!"],
    ["Subscription", "jobStatusChanged: JobStatusChange!"],
  ])("has what clients rely on in %s", (name, promised) => {
    const type = schema.getType(name);
    const fields = isObjectType(type) || isInputObjectType(type) ? Object.values(type.getFields()) : [];
    const printed = fields.map((field) => `${field.name}: ${String(field.type)}`);
    for (const field of promised.match(/\w+: \S+/g) ?? []) expect(printed).toContain(field);
  }); // prettier-ignore
});
