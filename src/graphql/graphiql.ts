import { createHash } from "node:crypto";
import type { RequestHandler } from "express";

const DEFAULT_QUERY = `# Put {"Authorization": "Bearer …", "x-tenant-id": "…"} under Headers below, then run one of these.

query Jobs {
  jobs(first: 20) {
    totalCount
    nodes { id jobType status priority attempt createdAt }
  }
}

mutation Enqueue {
  createJob(input: {jobType: "EMAIL_SEND", input: {to: "test@example.com"}}) {
    job { id status }
    eventCursor
  }
}

subscription Watch {
  jobStatusChanged { cursor jobId version previousStatus status }
}
`;

/**
 * GraphiQL for a browser: one page, nothing from elsewhere. Its Content-Security-Policy admits the page's own scripts by
 * their hashes, the editor's workers and styles, and requests to this server.
 */
export function createGraphiql(): RequestHandler {
  let page: Promise<{ html: string; policy: string }> | null = null;
  return async (request, response, next) => {
    if (
      request.method !== "GET" ||
      request.query["query"] !== undefined ||
      request.accepts(["json", "html"]) !== "html"
    ) {
      next();
      return;
    }
    // Nine megabytes: rendered once, when somebody wants it.
    page ??= renderPage();
    const { html, policy } = await page;
    response.setHeader("Content-Security-Policy", policy);
    response.type("html").send(html);
  };
}

async function renderPage(): Promise<{ html: string; policy: string }> {
  const { renderGraphiQL } = await import("@graphql-yoga/render-graphiql");
  const html = withSocketHeaders(
    renderGraphiQL({
      title: "Atlas Jobs",
      defaultQuery: DEFAULT_QUERY,
      subscriptionsProtocol: "WS",
      shouldPersistHeaders: false,
    }),
  );
  const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, script]) =>
      `'sha256-${createHash("sha256")
        .update(script ?? "")
        .digest("base64")}'`,
  );
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.join(" ")}`,
    "style-src 'unsafe-inline'",
    "img-src data:",
    "font-src data:",
    "worker-src blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return { html, policy };
}

/**
 * Gives the socket what stands under Headers, and has it say in words why it was closed. The page knows how to send them (its
 * executor reads `extensions.connectionParams`), but passes the headers to HTTP alone, and its options are JSON, so that no
 * function of ours can.
 */
function withSocketHeaders(html: string): string {
  const execute = /return (\w+)\((\{document:[^{}]+,extensions:\{)headers:(\w+)\?\.headers\}\}\)/;
  if (!execute.test(html)) throw new Error("GraphiQL's page has changed: its subscriptions would send no headers");
  return html.replace(
    execute,
    (_all, executor: string, request: string, given: string) =>
      `return(${withCloseInWords.toString()})(${executor}(${request}headers:${given}?.headers,connectionParams:${given}?.headers}}))`,
  );
}

/**
 * Runs in the page, so it may use nothing of this file. GraphiQL shows what a stream throws; of an event that a socket was closed
 * with it can show `{"isTrusted":true}` alone.
 */
async function withCloseInWords(answer: unknown): Promise<unknown> {
  const stream = (await answer) as Partial<AsyncIterable<unknown>> | null;
  const events = stream?.[Symbol.asyncIterator]?.();
  if (events === undefined) return stream;
  const inWords = (thrown: { type?: string; code?: number; reason?: string }): unknown => {
    if (thrown.code === 4401) {
      return {
        message: 'No token, or not a good one: put {"Authorization": "Bearer ...", "x-tenant-id": "..."} under Headers',
      };
    }
    if (thrown.type === "close") return { message: `The socket was closed: ${thrown.reason} (${thrown.code})` };
    return thrown.type === "error" ? { message: "The socket cannot be opened: is the service there?" } : thrown;
  };
  const told = {
    next: () =>
      events.next().catch((thrown: object) => {
        throw inWords(thrown);
      }),
    return: () => events.return?.() ?? Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]: () => told,
  };
  return told;
}
