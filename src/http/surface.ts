import type { Server } from "node:http";
import type { RequestHandler } from "express";

/** One way for clients to reach the services, such as REST. Surfaces know nothing of each other. */
export interface Surface {
  /**
   * Its routes, each with its full path, which the metrics show.
   * @param closing fires when the server shuts down: a request that lasts must end then.
   */
  routes(closing: AbortSignal): RequestHandler;
  /**
   * Answers the server's upgrade requests. Only one surface may have this: each would refuse what is another's.
   * @param trusts whether the peer at an address is a proxy whose X-Forwarded headers count, by Express's `trust proxy`.
   */
  serveUpgrades?(server: Server, trusts: (address: string, hop: number) => boolean): void;
  /** Closes the sockets that it has upgraded, and takes no more. */
  closeSockets?(): Promise<void>;
  /** Once the server has drained: ends what would keep the process alive. */
  close?(): Promise<void>;
}
