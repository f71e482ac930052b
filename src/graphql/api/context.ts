import type { Viewer } from "../../auth/viewer.js";
import type { PayloadAllowance } from "../../services/payload-allowance.js";
import type { OnAllowance } from "../../services/job-service.js";
import type { Services } from "../../services/services.js";

/** What an operation was charged. */
export interface Charge {
  cost: number;
  /** What its user has left of this second. */
  remaining: number;
}

/** What a resolver is given. */
export interface GraphqlContext {
  /** null: a request for the schema alone, which no resolver of ours sees. */
  viewer: Viewer | null;
  services: Services;
  /** How much input and output the operation's pages may still have. */
  payloads: PayloadAllowance | null;
  /** Told what is left of the minute, for the response's headers. */
  onAllowance: OnAllowance;
  /** Told what the operation costs, likewise. */
  onCharge: (charge: Charge) => void;
  requestId: string;
}

const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;

/** What an operation of this viewer starts with. */
export function fullAllowance({ jobs }: Services, viewer: Viewer | null): PayloadAllowance | null {
  return viewer && jobs.payloadAllowance(viewer, MAX_PAYLOAD_BYTES);
}

/** The viewer of a request that has got as far as a resolver. */
export function viewerOf({ viewer }: GraphqlContext): Viewer {
  if (viewer === null) throw new Error("a resolver ran without a viewer");
  return viewer;
}
