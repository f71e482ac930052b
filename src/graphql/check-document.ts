import type { Request, RequestHandler } from "express";
import { GraphQLError } from "graphql";
import { AtlasError } from "../errors.js";
import { localsOf } from "../http/request-locals.js";
import { readDocument } from "./admission/document.js";
import { asksForSchemaOnly } from "./admission/schema-only.js";
import { errorBody } from "./api/errors.js";
import { wantsOldJson } from "./apollo.js";

/** Refuses a stranger who wants more than the schema, and a document that is too large. */
export const checkDocument: RequestHandler = (request: Request, response, next) => {
  const { viewer, refusal, scope } = localsOf(response);
  // Read as Apollo reads it: Express's parser stops after a thousand parameters, and a query behind them would go unchecked.
  const query: unknown =
    request.method === "POST"
      ? (request.body as Record<string, unknown> | undefined)?.["query"]
      : new URLSearchParams(request.url.split("?").slice(1).join("?")).get("query");
  if (viewer === undefined && !asksForSchemaOnly(query)) throw refusal;
  try {
    if (typeof query === "string") readDocument(query);
  } catch (error) {
    if (error instanceof AtlasError) {
      response.status(wantsOldJson(request.get("accept") ?? "") ? 200 : 400).json(errorBody(error, scope.requestId));
      return;
    }
    // Apollo finds the syntax error again, and answers it.
    if (!(error instanceof GraphQLError)) throw error;
  }
  next();
};
