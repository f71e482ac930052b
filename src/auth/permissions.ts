import type { MemberRole } from "../words.js";

/** What a member may do besides reading the tenant's jobs and events. */
interface Permissions {
  /** Create, cancel, retry and delete jobs. */
  changeJobs: boolean;
  /** See where handlers failed: an attempt's `stack`. */
  seeStacks: boolean;
  /** See the tenant's members and their usage. */
  seeMembers: boolean;
}

/** By role. */
export const PERMISSIONS: Readonly<Record<MemberRole, Permissions>> = {
  viewer: { changeJobs: false, seeStacks: false, seeMembers: false },
  member: { changeJobs: true, seeStacks: true, seeMembers: false },
  owner: { changeJobs: true, seeStacks: true, seeMembers: true },
};
