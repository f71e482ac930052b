import { issueToken } from "./auth/issue-token.js";
import type { TokenRules } from "./auth/token-verifier.js";
import type { Database } from "./database/database.js";
import { TenantService } from "./services/tenant-service.js";

const TENANT_ID = "11111111-1111-4111-8111-111111111111";
const USER_ID = "22222222-2222-4222-8222-222222222222";
const TOKEN_SECONDS = 86_400;

/**
 * Makes the demo tenant and its user, and writes the lines to paste. For the embedded database only: the ids are
 * known to everybody.
 * @param url where the API listens.
 */
export async function prepareDemo(database: Database, rules: TokenRules, url: string): Promise<string> {
  const tenants = new TenantService(database);
  await tenants.createTenant("Demo", TENANT_ID);
  await tenants.addMember(TENANT_ID, USER_ID, "pro", "owner");
  return rules.key.kind === "secret" ? lines(url, issueToken(rules, USER_ID, TOKEN_SECONDS)) : "";
}

function lines(url: string, token: string): string {
  const headers = `-H "Authorization: Bearer $TOKEN" -H "x-tenant-id: $TENANT" -H "content-type: application/json"`;
  const mutation = `mutation { createJob(input: {jobType: \\"EMAIL_SEND\\", input: {to: \\"test@example.com\\"}}) { job { id status } eventCursor } }`;
  return `
Atlas Jobs is ready at ${url}. Paste these lines into another terminal, in this folder:

export TENANT=${TENANT_ID}
export TOKEN=${token}

# Watch every job of the tenant (Ctrl-C ends it; a trailing & keeps the terminal free)
npm run --silent cli -- watch --url ${url} --tenant $TENANT --token $TOKEN &

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
