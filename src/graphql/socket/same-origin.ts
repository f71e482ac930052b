import type { IncomingMessage } from "node:http";

/** Whether the peer at an address is a proxy whose word counts, as Express compiles it from its `trust proxy`. */
export type Trust = (address: string, hop: number) => boolean;

/**
 * Whether a request comes from a page of the same origin that it was sent to, however each is spelled. A trusted proxy's
 * headers (X-Forwarded-Host, -Port, -Proto) say to which origin its client has sent it.
 */
export function isSameOrigin({ headers, socket }: IncomingMessage, origin: string, trusts: Trust): boolean {
  const page = URL.parse(origin);
  if (page === null || !/^https?:$/.test(page.protocol)) return false;
  const trusted = trusts(socket.remoteAddress ?? "", 0);
  const forwarded = (name: string): string | undefined =>
    trusted
      ? String(headers[name] ?? "")
          .split(",", 1)[0]
          ?.trim() || undefined
      : undefined;
  // An https page asked over "http" is possible: a proxy behind the one that ends TLS was asked over http itself.
  if (page.protocol === "http:" && forwarded("x-forwarded-proto")?.toLowerCase() === "https") return false;

  const host = forwarded("x-forwarded-host") ?? headers.host ?? "";
  if (/[/\\?#@]/.test(host)) return false;
  // Without a port, the port is the default of the page's scheme.
  const asked = URL.parse(`${page.protocol}//${host}`);
  if (asked === null || nameOf(asked) !== nameOf(page)) return false;
  const forwardedPort = forwarded("x-forwarded-port");
  // nginx' $host leaves the port out, whatever its client asked for.
  const portIsLost = trusted && forwardedPort === undefined && !/:\d+$/.test(host);
  return portIsLost || asked.port === page.port || Number(forwardedPort) === portOf(page);
}

/** The host in lower case, IPv6 in its short form, without the dot that ends an absolute name. */
function nameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, "");
}

function portOf({ port, protocol }: URL): number {
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}
