import type { RouteContract } from "./contract.js";
import { jobEvents } from "./job-events.contract.js";
import { cancelJob, createOneJob, deleteJob, getJob, listJobs, retryJob } from "./jobs.contract.js";
import { listMembers } from "./members.contract.js";

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
