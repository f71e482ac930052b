import express, { Router } from "express";
import { extendSchema, parse } from "graphql";
import { createSchema } from "../../src/graphql/api/schema.js";
import { startApi } from "../support/api.js";
import { unjudged } from "./documents.js";
import { appOf, routesOf } from "./routes.js";
import { ROUTES } from "./verdicts.js";

const schema = await createSchema();

describe("the verdicts", () => {
  it("are on every field, argument and field of an input, and on nothing else", () => {
    expect(unjudged(schema)).toEqual({ missing: [], stale: [] });
  });

  it("are on every route of the running app, and on nothing else", async () => {
    const api = await startApi();
    const routes = routesOf(await appOf(api));
    expect(routes).toEqual(Object.keys(ROUTES).toSorted());
  });

  it.each([
    ["a field", "extend type Job { secret: String }", "Job.secret"],
    ["a field of its own type", "extend type Job { parent: Job }", "Job.parent"],
    ["a field of a new type", "type Secret { text: String } extend type Viewer { secret: Secret }", "Secret.text"],
    ["an argument", "extend type Query { other(jobId: ID!): Job }", "Query.other(jobId)"],
    ["a field of an input", "extend input JobFilter { createdBy: ID }", "JobFilter.createdBy"],
  ])("are missed on %s that is new", (_what, extension, coordinate) => {
    expect(unjudged(extendSchema(schema, parse(extension))).missing).toContain(coordinate);
  });

  it("are missed on routes that are new, wherever they are mounted", () => {
    const answer = () => undefined;
    const nested = Router();
    nested.route("/a/:id").get(answer).patch(answer).all(answer);
    nested.use("/raw", answer);
    nested.use(answer);
    const app = express();
    app.use(answer, nested);
    app.use("/v2", nested);
    app.all("/any", answer);
    expect(routesOf(app)).toEqual(
      [
        "ALL /any",
        "GET /a/:id",
        "GET /v2/a/:id",
        "PATCH /a/:id",
        "PATCH /v2/a/:id",
        "USE /raw",
        "USE /v2/raw",
      ].toSorted(),
    );
  });
});
