import { once } from "node:events";
import net from "node:net";
import { type Config, ConfigError } from "../config.js";

type Place = Pick<Config, "port" | "host">;

/** Has a server take connections where it is configured to. @throws ConfigError when that place cannot be had. */
export async function listen(server: net.Server, { port, host }: Place): Promise<{ port: number; url: string }> {
  const listening = once(server, "listening");
  server.listen(port, host);
  await listening.catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`Cannot listen on ${urlOf(host, port)}: ${adviceOn(error, port)} (${error.code})`);
  });
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return { port: bound, url: urlOf(host, bound) };
}

/**
 * Checks that the configured port can be had, before the database is opened, and gives it back at once: until the service is
 * ready, connections must be refused, or a load balancer would send requests.
 * @throws ConfigError as `listen`
 */
export async function checkPort(place: Place): Promise<void> {
  const server = net.createServer();
  await listen(server, place);
  server.close();
  await once(server, "close");
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function adviceOn({ code, message }: NodeJS.ErrnoException, port: number): string {
  switch (code) {
    case "EADDRINUSE":
      return `another program uses PORT ${port}. Stop it, or start with another port, such as PORT=${port === 65_535 ? 8787 : port + 1}`;
    case "EACCES":
      return `PORT ${port} needs rights that this user lacks. Start with a port above 1023, such as PORT=8787`;
    default:
      return `HOST must be an address of this machine. ${message}`;
  }
}
