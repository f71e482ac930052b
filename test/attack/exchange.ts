import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import type { TestApi } from "../support/api.js";
import type { Request } from "./routes.js";
import type { Tenancy } from "./tenancy.js";

/** An answer as it came over the wire, and the request that it answers. */
export interface Exchange {
  status: number;
  headers: IncomingMessage["headers"];
  /** The body as JSON; undefined when it is none. */
  body: Record<string, unknown> | undefined;
  /** All that was sent, and all that came back. */
  sent: string;
  received: string;
}

/** Sends a request and takes its whole answer; of a stream of events, what comes first. */
export async function exchange(api: Pick<TestApi, "url">, { method, path, headers, body }: Request): Promise<Exchange> {
  const text = body === undefined ? "" : JSON.stringify(body);
  // Not fetch, which would make one line of two headers.
  const request = http.request(`${api.url}${path}`, {
    method,
    agent: false,
    headers: { ...headers, ...(text !== "" && { "content-type": "application/json" }) },
  });
  request.end(text);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let received = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    received += chunk;
    if (response.headers["content-type"]?.startsWith("text/event-stream") === true) break;
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: response.headers["content-type"]?.startsWith("application/json") === true && received !== "" ? (JSON.parse(received) as Record<string, unknown>) : undefined,
    sent: JSON.stringify([path, headers, text]),
    received: `${JSON.stringify(response.rawHeaders)}\n${received}`,
  };
} // prettier-ignore

/** What an answer tells of a tenant that the request had not said itself. */
export function leaks({ sent, received }: Pick<Exchange, "sent" | "received">, { secrets }: Tenancy): string[] {
  return secrets.filter((secret) => received.includes(secret) && !sent.includes(secret));
}
