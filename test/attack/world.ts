import type { TestApi, TestMember } from "../support/api.js";
import type { Fill } from "./documents.js";
import type { World } from "./rows.js";
import { createTenancy, type JobState, type Tenancy } from "./tenancy.js";
import { INPUTS } from "./verdicts.js";

/** A victim with more of everything, whose jobs come first and last in every list, and an attacker. */
export async function createWorld(api: TestApi): Promise<World> {
  const victim = await createTenancy(api, { jobs: 60, priority: 2_000_000_011, year: 2001 });
  const attacker = await createTenancy(api, { jobs: 3, priority: 1_000, year: null });
  return { victim, attacker };
}

/** The headers, or a socket's parameters, that let a member in. */
export const credentials = ({ token, tenantId }: TestMember) => ({
  authorization: `Bearer ${token}`,
  "x-tenant-id": tenantId,
});

/**
 * Fills arguments by their verdicts with a tenant's own values, but for one.
 * @param attack where another value goes, and which.
 */
export function fillFor(
  { named, mark }: Tenancy,
  jobs: Record<JobState, string>,
  attack: { point: string; value: unknown } | null = null,
): Fill {
  return (coordinate, required) => {
    const verdict = INPUTS[coordinate];
    if (verdict === undefined || verdict === "fields") throw new Error(`${coordinate} has no verdict`);
    if (coordinate === attack?.point) return attack.value;
    if (verdict === "payload") return { text: mark };
    if (verdict !== "omitted" && "size" in verdict) return verdict.size;
    if (verdict !== "omitted" && "writes" in verdict) return named[verdict.writes][0];
    if (!required) return undefined;
    if (verdict === "omitted") throw new Error(`${coordinate} is required, and its verdict is to leave it out`);
    return verdict.state === undefined ? named[verdict.takes][0] : jobs[verdict.state];
  };
}
