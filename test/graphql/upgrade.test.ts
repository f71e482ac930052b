import type { IncomingMessage } from "node:http";
import { upgradeRefusal } from "../../src/graphql/socket/upgrade.js";

const refusal = (url: string, origin?: string, corsOrigins: string[] = ["https://app.example"]) => {
  const headers = { host: "jobs.example", ...(origin !== undefined && { origin }) };
  const request = { url, headers, socket: { remoteAddress: "10.0.0.9" } } as unknown as IncomingMessage;
  return upgradeRefusal(request, { corsOrigins, trusts: () => false });
};

it("takes programs, the service's own pages, and pages of the origins that are set", () => {
  expect(refusal("/graphql")).toBeNull();
  expect(refusal("/graphql?a=b")).toBeNull();
  expect(refusal("/graphql", "http://jobs.example")).toBeNull();
  expect(refusal("/graphql", "https://app.example")).toBeNull();
  expect(refusal("/graphql", "https://any.example", ["*"])).toBeNull();
});

it("refuses other paths and other origins", () => {
  for (const path of ["/", "/graphql/", "/graphql2", "//graphql", "/v1/jobs/events"])
    expect(refusal(path)).toBe("404 Not Found");
  expect(refusal("/graphql", "https://other.example")).toBe("403 Forbidden");
  expect(refusal("/graphql", "https://app.example.evil.example")).toBe("403 Forbidden");
  expect(refusal("/graphql", "null", [])).toBe("403 Forbidden");
});
