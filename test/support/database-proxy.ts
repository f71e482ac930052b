import { once } from "node:events";
import net, { type AddressInfo } from "node:net";

/** Stands between a service and its database, to take the database away and bring it back. */
export interface DatabaseProxy {
  /** The database's address, through the proxy. */
  url: string;
  /** `away` breaks connections and refuses new ones; `hang` keeps them and lets nothing through. */
  set(state: "there" | "away" | "hang"): void;
  /** New connections go to this server's address; those that are there stay. */
  lead(databaseUrl: string): void;
  /** How many connections were refused. */
  readonly refused: number;
  close(): Promise<void>;
}

export async function openDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
  let target = new URL(databaseUrl);
  let refused = 0;
  const pairs = new Set<[net.Socket, net.Socket]>();
  let state: "there" | "away" | "hang" = "there";
  const apply = (pair: [net.Socket, net.Socket]): void => {
    for (const socket of pair) {
      if (state === "away") socket.destroy();
      else if (state === "hang") socket.pause();
      else socket.resume();
    }
  };
  const server = net.createServer((client) => {
    const pair: [net.Socket, net.Socket] = [client, net.connect(Number(target.port), target.hostname)];
    pairs.add(pair);
    for (const [from, to] of [pair, pair.toReversed() as typeof pair]) {
      from.on("data", (chunk) => to.write(chunk));
      from.on("error", () => undefined);
      from.on("close", () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
    if (state === "away") refused += 1;
    apply(pair);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy: DatabaseProxy = {
    url: Object.assign(new URL(databaseUrl), { port: String(port) }).href,
    set(next) {
      state = next;
      for (const pair of pairs) apply(pair);
    },
    lead(url) {
      target = new URL(url);
    },
    get refused() {
      return refused;
    },
    async close() {
      proxy.set("away");
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}
