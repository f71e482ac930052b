import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import { METHODS } from "node:http";
import type { Express, Request as ExpressRequest } from "express";
import type { ErrorCode } from "../../src/errors.js";
import type { TestApi } from "../support/api.js";
import type { Tenancy } from "./tenancy.js";

/** A request as the attack sends it. */
export interface Request {
  method: string;
  path: string;
  headers?: Record<string, string | string[]>;
  body?: unknown;
}

/** A route, and what is asked of it. */
export type Route =
  /** Needs no token, and shows nothing of a tenant. */
  | { kind: "open" }
  /** Is judged field by field. */
  | { kind: "graphql" }
  | {
      /** Who may: everybody reads, members and owners change, owners read what is theirs alone. */
      kind: "read" | "change" | "owner";
      /** The requests that name something of the tenant, in every way. */
      requests: (tenancy: Tenancy) => Iterable<Request>;
      /** What somebody of another tenant is told; 200: what they would be told with any other value. */
      told: ErrorCode | 200;
    };

interface Layer {
  route?: { path: string; methods: Record<string, boolean>; stack: Layer[] };
  handle: unknown;
  rawPath?: string;
}

/** The Express app of a running API: the one that answers its requests. */
export async function appOf(api: TestApi): Promise<Express> {
  const requests: IncomingMessage[] = [];
  const note = (message: unknown) => requests.push((message as { request: IncomingMessage }).request);
  subscribe("http.server.request.start", note);
  await fetch(`${api.url}/healthz`);
  unsubscribe("http.server.request.start", note);
  return (requests[0] as ExpressRequest).app as Express;
}

/** Every route of an app, as `GET /path`; `ALL /path` when it takes any method, `USE /path` when it is no route but answers. */
export function routesOf(app: Express): string[] {
  return [...walk(app.router as unknown as { stack: Layer[] }, "")].toSorted();
}

function* walk({ stack }: { stack: Layer[] }, prefix: string): Generator<string> {
  for (const { route, handle, rawPath } of stack) {
    if (route !== undefined) {
      const { _all, ...methods } = route.methods;
      const names = Object.keys(methods);
      const path = `${prefix}${route.path}`;
      // 405 for every other method makes no route of them.
      for (const name of names.length === METHODS.length ? ["all"] : names) yield `${name.toUpperCase()} ${path}`;
      if (_all === true && names.length === 0) yield `ALL ${path}`;
      yield* walk(route, path);
      continue;
    }
    const at = rawPath === undefined || rawPath === "/" ? prefix : prefix + rawPath;
    const nested = (handle as { stack?: Layer[] }).stack;
    if (nested !== undefined) yield* walk({ stack: nested }, at);
    else if (at !== prefix) yield `USE ${at}`;
  }
}
