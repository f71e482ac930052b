import type { Authenticator } from "../auth/authenticator.js";
import type { MembershipWatch } from "../auth/membership-watch.js";
import type { Config } from "../config.js";
import type { Surface } from "../http/surface.js";
import type { Pace } from "../limits/pace.js";
import type { Services } from "../services/services.js";
import type { RouteContract } from "./contract.js";
import { jobEvents } from "./job-events.contract.js";
import { createJobEventsRoutes } from "./job-events.routes.js";
import { cancelJob, createOneJob, deleteJob, getJob, listJobs, retryJob } from "./jobs.contract.js";
import { createJobsRoutes } from "./jobs.routes.js";
import { listMembers } from "./members.contract.js";
import { createMembersRoutes } from "./members.routes.js";
import { createRouter } from "./router.js";

export interface RestSurfaceOptions {
  services: Services;
  authenticator: Authenticator;
  memberships: MembershipWatch;
  /** At which each user sends bodies. */
  bodies: Pace;
  config: Pick<Config, "legacyStatusNames">;
}

/** The contracts of all routes. */
export const REST_CONTRACTS: readonly RouteContract[] = [
  listJobs,
  jobEvents,
  createOneJob,
  getJob,
  deleteJob,
  cancelJob,
  retryJob,
  listMembers,
];

/** REST: the legacy API's routes, and our own in the same style. */
export function createRestSurface({ config: { legacyStatusNames }, ...options }: RestSurfaceOptions): Surface {
  return {
    routes(closing) {
      const given = { ...options, legacyStatusNames, closing };
      const routes = [...createJobEventsRoutes(given), ...createJobsRoutes(given), ...createMembersRoutes(given)];
      return createRouter(routes, options);
    },
  };
}
