import { serverAudits } from "graphql-http";
import { useApi } from "../support/api.js";

const api = useApi();
let passport: Record<string, string>;
beforeAll(async () => {
  const { token, tenantId } = await api.member();
  passport = { authorization: `Bearer ${token}`, "x-tenant-id": tenantId };
});

const audits = serverAudits({
  url: () => `${api.url}/graphql`,
  fetchFn: (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, headers: { ...(init.headers as Record<string, string>), ...passport } }),
});

describe("a server of GraphQL over HTTP, as graphql-http audits it", () => {
  it("is asked 61 questions", () => {
    expect(audits).toHaveLength(61);
  });

  // An answer short of "ok" is a notice (MAY), a warning (SHOULD) or an error (MUST).
  it.each(audits.map(({ id, name, fn }) => [name, id, fn] as const))("%s (%s)", async (_name, _id, audit) => {
    const result = await audit();
    expect([result.status, "reason" in result ? result.reason : ""]).toEqual(["ok", ""]);
  });
});
