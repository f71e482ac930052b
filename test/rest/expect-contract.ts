import { bodiesOf, type RouteContract } from "../../src/rest/contract.js";
import { REST_CONTRACTS } from "../../src/rest/rest-surface.js";

/** Headers that answers of some routes have, when all goes well. */
const SPECIAL = /^(x-event-cursor|idempotency-replayed|ratelimit.*)$/;

/** The contract of the route that a request meets; undefined: there is no such route, or no such method on it. */
function contractOf(method: string, path: string): RouteContract | undefined {
  const asked = path.split("?")[0] ?? "";
  const there = REST_CONTRACTS.filter(({ path: template }) => patternOf(template).test(asked));
  return there.find((contract) => contract.path === there[0]?.path && contract.method === method.toLowerCase());
}

/** As Express takes a path. */
function patternOf(template: string): RegExp {
  return new RegExp(`^${template.replaceAll(/:\w+/g, "[^/]+")}/?$`, "i");
}

/**
 * Holds an answer of REST against its route's contract: its status, its body with every field and no other, and the headers
 * that only some routes have.
 */
export function expectContract(
  method: string,
  path: string,
  { status, headers, body }: { status: number; headers: Headers; body: unknown },
): void {
  const contract = contractOf(method, path);
  if (contract === undefined) return;
  const bodies = bodiesOf(contract);
  expect([...bodies.keys()]).toContain(status);
  expect(bodies.get(status)?.safeParse(body).error?.issues ?? []).toEqual([]);
  const promised = contract.answers[status]?.headers.map((name) => name.toLowerCase());
  if (promised === undefined) return;
  expect([...headers.keys()].filter((name) => SPECIAL.test(name) && !promised.includes(name))).toEqual([]);
}
