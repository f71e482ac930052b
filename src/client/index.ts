import { JOB_FIELDS, type Job, type JobPage, type JobStatusChange, type NewJob, type PageOptions } from "./jobs.js";
import { Requests, type TokenSource } from "./requests.js";
import { Watch, type WatchOptions } from "./watch.js";

export { AtlasClientError } from "./client-error.js";
export type { Job, JobError, JobOrigin, JobPage, JobStatus, JobStatusChange, NewJob, PageOptions } from "./jobs.js";
export type { TokenSource } from "./requests.js";
export type { WatchOptions, WatchState } from "./watch.js";

export interface AtlasClientOptions {
  /** The service's address: http(s)://host[:port][/prefix]. */
  url: string;
  tenantId: string;
  token: TokenSource;
  /** Default: the global one. */
  fetch?: typeof fetch;
  /** A WebSocket class; default: the global one. */
  webSocketImpl?: unknown;
}

/** A member of a tenant, at work. */
export interface AtlasClient {
  /**
   * Creates a job; when its answer is lost, it asks again under the same idempotency key and gets the same job.
   * @throws AtlasClientError, also `RATE_LIMITED`, which it does not wait for
   */
  enqueue(job: NewJob, options?: { signal?: AbortSignal }): Promise<{ job: Job; eventCursor: string }>;
  /** @throws AtlasClientError */
  list(page?: PageOptions & { signal?: AbortSignal }): Promise<JobPage>;
  /** Every status change, in order, each once, whatever happens to the connection. It connects with the first `next`. */
  watch(options?: WatchOptions): AsyncIterableIterator<JobStatusChange>;
}

const CREATE = `mutation Enqueue($input: CreateJobInput!) { createJob(input: $input) { job { ${JOB_FIELDS} } eventCursor } }`;
const LIST = `query List($filter: JobFilter, $first: Int, $after: String, $last: Int, $before: String) {
  jobs(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    jobs: nodes { ${JOB_FIELDS} }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
    eventCursor
  }
}`;

const NEVER = new AbortController().signal;

/**
 * A client of the service, for browsers and Node: it resumes, and it repeats what can be repeated.
 * @throws TypeError for an address that is not http(s)
 */
export function createAtlasClient(options: AtlasClientOptions): AtlasClient {
  const url = options.url.replace(/\/+$/, "");
  // A WebSocket would throw where nobody hears it.
  if (!/^https?:/.test(url) || !URL.canParse(url)) throw new TypeError(`url must be http(s)://…, got ${options.url}`);
  const { tenantId, token, webSocketImpl = globalThis.WebSocket } = options;
  const requests = new Requests({ url, tenantId, token, fetch: options.fetch ?? globalThis.fetch.bind(globalThis) });
  return {
    enqueue: (job, { signal = NEVER } = {}) => {
      const input = { ...job, idempotencyKey: job.idempotencyKey ?? crypto.randomUUID() };
      return requests.ask(CREATE, { input }, signal);
    },
    list: ({ signal = NEVER, ...page } = {}) => requests.ask(LIST, page, signal),
    watch: (watchOptions = {}) => {
      if (webSocketImpl === undefined) {
        throw new TypeError("There is no WebSocket here: give createAtlasClient a webSocketImpl (Node 22 has one)");
      }
      return new Watch({ url, tenantId, requests, webSocketImpl }, watchOptions);
    },
  };
}
