import type { Response } from "express";
import type { RequestScope, Viewer } from "../auth/viewer.js";

/** What is known about a request, from its first handler to its log line. */
export interface RequestLocals {
  scope: Required<RequestScope>;
  /** Who has signed in; absent before, and for a stranger. */
  viewer?: Viewer;
  /** Gives the user's turn to their next request. */
  leave?: () => void;
  /** Why nobody has signed in, where strangers are let through. */
  refusal?: unknown;
  /** What was thrown, for the log line. */
  failure?: unknown;
}

/** What is kept in `response.locals`. It is whole once `openScope` has run. */
export function localsOf(response: Response): RequestLocals {
  return response.locals as RequestLocals;
}
