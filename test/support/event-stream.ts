import type { TestApi } from "./api.js";
import { expectContract } from "../rest/expect-contract.js";
import { until } from "./until.js";

/** One server-sent event. */
interface SentEvent {
  id?: string;
  event?: string;
  data: Record<string, unknown> | null;
}

/** A reader of `GET /v1/jobs/events`. */
export interface EventReader {
  response: Response;
  /** Those with data, in order. */
  events: SentEvent[];
  /** The last id sent, also one without data. */
  lastId(): string | null;
  /** The server has ended the stream. */
  ended: Promise<void>;
  count(events: number): Promise<SentEvent[]>;
  stop(): void;
}

/** Reads the stream as a browser's `fetch` does. */
export async function readEventStream(
  api: Pick<TestApi, "url">,
  headers: Record<string, string>,
  query = "",
): Promise<EventReader> {
  const stopped = new AbortController();
  const response = await fetch(`${api.url}/v1/jobs/events${query}`, { headers, signal: stopped.signal });
  const events: SentEvent[] = [];
  let lastId: string | null = null;
  const read = async (): Promise<void> => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      const frames = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s)));
        lastId = fields["id"] ?? lastId;
        if (fields["data"] === undefined) continue;
        events.push({ ...fields, data: JSON.parse(fields["data"] as string) as SentEvent["data"] });
      }
    }
  };
  return {
    response,
    events,
    lastId: () => lastId,
    ended: read().catch(() => undefined),
    async count(count) {
      await until(() => events.length >= count, { what: `${count} events (${events.length} came)` });
      for (const { data } of events)
        expectContract("GET", "/v1/jobs/events", { status: 200, headers: response.headers, body: data });
      return events;
    },
    stop: () => stopped.abort(),
  };
}
