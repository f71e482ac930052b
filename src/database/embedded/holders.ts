import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import type { Instance } from "./instance.js";

/** How long a new watchdog waits for its first holder: the process that started it, on a busy machine. */
const FIRST_HOLDER_MS = 5_000;
/** How long the server goes on after the last holder, so that a next command finds it running. */
const LAST_HOLDER_MS = 1_000;
const INTRODUCTION_MS = 2_000;
const WELCOME = "welcome\n";

/** The watchdog's end of its holders' connections. */
export interface Holders {
  readonly port: number;
  /** What a holder must say to be taken. */
  readonly secret: string;
  /** Takes no more holders. */
  close(): void;
}

/** Accepts holders on a free port; calls `abandoned` 1 s after the last has gone, or when none has come within 5 s. */
export async function takeHolders(abandoned: () => void): Promise<Holders> {
  const secret = randomBytes(24).toString("base64url");
  const holders = new Set<Socket>();
  let timer = setTimeout(abandoned, FIRST_HOLDER_MS);

  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.setTimeout(INTRODUCTION_MS, () => socket.destroy());
    socket.once("data", (introduction) => {
      if (!server.listening || String(introduction) !== `${secret}\n`) {
        socket.destroy();
        return;
      }
      clearTimeout(timer);
      holders.add(socket);
      socket.setTimeout(0);
      socket.once("close", () => {
        holders.delete(socket);
        if (holders.size === 0) timer = setTimeout(abandoned, LAST_HOLDER_MS);
      });
      socket.write(WELCOME);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, secret, close: () => void server.close() };
}

/**
 * Connects to the instance's watchdog, which keeps the server up while the connection lives; the connection does not
 * keep this process up.
 * @returns null when no watchdog answers there, or not as that instance's.
 */
export async function hold(watchdog: NonNullable<Instance["watchdog"]>): Promise<Socket | null> {
  const socket = createConnection({ host: "127.0.0.1", port: watchdog.port });
  socket.on("error", () => socket.destroy());
  socket.setTimeout(INTRODUCTION_MS, () => socket.destroy());
  socket.write(`${watchdog.secret}\n`);
  const answer = await new Promise((resolve) => {
    socket.once("data", (data) => resolve(String(data)));
    socket.once("close", () => resolve(null));
  });
  if (answer !== WELCOME) {
    socket.destroy();
    return null;
  }
  socket.setTimeout(0);
  return socket.unref();
}
