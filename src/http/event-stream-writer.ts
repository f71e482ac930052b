import { once } from "node:events";
import type { Response } from "express";
import { CONNECTIONS } from "../limits/policies.js";

const KEEP_ALIVE_MS = 15_000;

/** Writes a response of server-sent events, no faster than its client reads. */
export class EventStreamWriter {
  private readonly keepAlive: NodeJS.Timeout;
  private readonly gone = new AbortController();

  constructor(private readonly response: Response) {
    response.status(200).set({
      "Content-Type": "text/event-stream; charset=utf-8",
      // Proxies that buffer or compress would hold events back until a buffer of theirs is full.
      "Cache-Control": "no-store, no-transform",
      "X-Accel-Buffering": "no",
    });
    response.flushHeaders();
    this.keepAlive = setInterval(() => void this.write(": keep-alive\n\n"), KEEP_ALIVE_MS).unref();
    response.once("close", () => {
      clearInterval(this.keepAlive);
      this.gone.abort();
    });
  }

  /**
   * Writes one frame. Resolves when the socket takes more, or the client is gone. A caller that does not wait adds to what the
   * response holds in memory: only the first lines of a stream and its keep-alives are written so.
   */
  async write(frame: string): Promise<void> {
    if (this.response.destroyed || this.response.writableEnded) return;
    if (this.response.writableNeedDrain && frame.startsWith(":")) return;
    if (this.response.write(frame)) return;
    const stalled = setTimeout(() => this.response.destroy(), CONNECTIONS.silenceMs).unref();
    await once(this.response, "drain", { signal: this.gone.signal }).catch(() => undefined);
    clearTimeout(stalled);
  }

  end(): void {
    clearInterval(this.keepAlive);
    this.response.end();
  }
}
