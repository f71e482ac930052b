import express, { type Express, type Response } from "express";
import type { Config } from "../config.js";

/** An Express app with our settings and no handler. */
export function createApp({ trustProxy }: Pick<Config, "trustProxy">): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag").set("trust proxy", trustProxy).set("query parser", "simple");
  app.response.json = jsonLine;
  return app;
}

/** Answers JSON as a line that ends, so that a terminal's prompt stands on the next one. */
function jsonLine(this: Response, body: unknown): Response {
  return this.type("json").send(`${JSON.stringify(body)}\n`);
}
