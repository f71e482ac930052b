import type { Authenticator } from "./auth/authenticator.js";
import { issueToken } from "./auth/issue-token.js";
import type { TokenRules } from "./auth/token-verifier.js";
import type { Database } from "./database/database.js";
import type { Services } from "./services/services.js";
import { TenantService } from "./services/tenant-service.js";

export interface DemoOptions {
  database: Database;
  services: Services;
  authenticator: Authenticator;
  rules: TokenRules;
  /** Where the API listens. */
  url: string;
}

/** The demo tenant and its user; everybody knows them. */
export const DEMO = {
  tenantId: "11111111-1111-4111-8111-111111111111",
  userId: "22222222-2222-4222-8222-222222222222",
};
const TOKEN_SECONDS = 86_400;

/**
 * Makes the demo tenant and its user, and writes the lines to paste. For the embedded database only: the ids are
 * known to everybody.
 * @returns the lines; none when tokens are not ours to issue.
 */
export async function prepareDemo({ database, services, authenticator, rules, url }: DemoOptions): Promise<string> {
  const tenants = new TenantService(database);
  await tenants.createTenant("Demo", DEMO.tenantId);
  await tenants.addMember(DEMO.tenantId, DEMO.userId, "pro", "owner");
  if (rules.key.kind !== "secret") return "";
  const token = issueToken(rules, DEMO.userId, TOKEN_SECONDS);
  const viewer = await authenticator.authenticate({ authorization: `Bearer ${token}`, tenantIds: [DEMO.tenantId] });
  const { eventCursor } = await services.jobs.listSummaries(viewer, { first: 1 });
  return lines(url, token, eventCursor);
}

/** @param after so that the watcher, which takes its time to start, shows also what was pasted right behind it. */
function lines(url: string, token: string, after: string): string {
  const headers = `-H "Authorization: Bearer $TOKEN" -H "x-tenant-id: $TENANT" -H "content-type: application/json"`;
  const mutation = `mutation { createJob(input: {jobType: \\"EMAIL_SEND\\", input: {to: \\"test@example.com\\"}}) { job { id status } eventCursor } }`;
  return `
Atlas Jobs is ready at ${url}. Paste these lines into another terminal, in this folder:

export TENANT=${DEMO.tenantId}
export TOKEN=${token}

# Watch every job of the tenant (Ctrl-C ends it; a trailing & keeps the terminal free)
npm run --silent cli -- watch --url ${url} --tenant $TENANT --token $TOKEN --after ${after} &

# Enqueue over REST; the mail lands in the outbox folder of DATA_DIR
curl -sS ${url}/v1/jobs ${headers} -d '{"jobType":"EMAIL_SEND","input":{"to":"test@example.com"}}'

# Enqueue over GraphQL
curl -sS ${url}/graphql ${headers} -d '{"query":"${mutation}"}'

# See them all
curl -sS ${url}/v1/jobs/list ${headers}

In a browser, ${url}/graphql is GraphiQL: put {"Authorization": "Bearer …", "x-tenant-id": "…"} under Headers, then
subscription { jobStatusChanged { jobId previousStatus status version } }

`;
}
