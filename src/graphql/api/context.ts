import { ANSWERS } from "../../limits/policies.js";
import type { Viewer } from "../../auth/viewer.js";
import type { PayloadAllowance } from "../../services/payload-allowance.js";
import type { OnAllowance } from "../../services/create-limit.js";
import type { Services } from "../../services/services.js";

/** What a resolver is given. */
export interface GraphqlContext {
  /** null: a stranger, who asks for the schema alone. */
  viewer: Viewer | null;
  services: Services;
  /** How much input and output the operation's pages may still have. */
  payloads: PayloadAllowance | null;
  /** Told what is left of the minute, for the response's headers. */
  onAllowance: OnAllowance;
  /** Sets headers of the response, whatever becomes of it; nothing where there is none. */
  setHeaders: (headers: Readonly<Record<string, string>>) => void;
  requestId: string;
}

/** The context of one operation that begins, with all of its allowance of inputs and outputs. */
export function createContext(given: Omit<GraphqlContext, "payloads">): GraphqlContext {
  const { viewer, services } = given;
  return { ...given, payloads: viewer && services.jobs.payloadAllowance(viewer, ANSWERS.graphqlBytes) };
}

/** The viewer of an operation that runs. A stranger's asks for the schema alone, for which no resolver of ours runs. */
export function viewerOf({ viewer }: GraphqlContext): Viewer {
  if (viewer === null) throw new Error("a resolver ran without a viewer");
  return viewer;
}
