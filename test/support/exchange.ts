import net from "node:net";
import { within } from "./within.js";

const SILENCE_MS = 200;
const BOUND_MS = 10_000;

/**
 * Writes bytes, a character each, to a connection of their own and reads until the server ends it. Where it waits for more than was sent,
 * the connection is ended from here; one that stays open even so is a fault.
 * @param enough ends the reading before that.
 * @returns what came back, likewise.
 */
export async function exchange(
  port: number,
  bytes: string,
  enough: (text: string) => boolean = () => false,
): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
    if (enough(text)) socket.destroy();
  });
  // A refused request's connection may be reset while the rest of it is on its way.
  socket.on("error", () => socket.destroy());
  socket.setTimeout(SILENCE_MS, () => socket.end());
  socket.write(bytes, "latin1");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  try {
    await within(BOUND_MS, closed, "the end of the connection");
  } finally {
    socket.destroy();
  }
  return text;
}
