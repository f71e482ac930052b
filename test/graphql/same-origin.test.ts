import type { IncomingMessage } from "node:http";
import express from "express";
import { isSameOrigin, type Trust } from "../../src/graphql/socket/same-origin.js";

/** As the server has it from its own application. */
const trusts = (proxies: unknown) => express().set("trust proxy", proxies).get("trust proxy fn") as Trust;

const judge = (origin: string, headers: Record<string, string>, proxies: unknown = false) =>
  isSameOrigin(
    { headers, socket: { remoteAddress: "10.0.0.9" } } as unknown as IncomingMessage,
    origin,
    trusts(proxies),
  );

describe("a page of the same origin", () => {
  it.each([
    ["http://app.example:8080", "app.example:8080"],
    ["http://app.example", "app.example"],
    ["http://app.example", "app.example:80"],
    ["https://app.example", "app.example"],
    ["https://app.example", "app.example:443"],
    ["https://app.example", "APP.Example"],
    ["https://app.example.", "app.example"],
    ["https://app.example", "app.example.:443"],
    ["http://[::1]:8787", "[::1]:8787"],
    ["http://[::1]:8787", "[0:0:0:0:0:0:0:1]:8787"],
    ["https://xn--mnchen-3ya.example", "münchen.example"],
  ])("is known as %s, asked at %s", (origin, host) => {
    expect(judge(origin, { host })).toBe(true);
  });

  it.each([
    ["https://evil.example", "app.example"],
    ["http://app.example:8080", "app.example"],
    ["http://app.example", "app.example:443"],
    ["https://app.example:8443", "app.example:443"],
    ["https://app.example.evil.example", "app.example"],
    ["https://app.example@evil.example", "app.example"],
    ["https://evil.example", "app.example@evil.example"],
    ["null", "app.example"],
    ["file://", ""],
    ["chrome-extension://app.example", "app.example"],
    ["https://app.example", ""],
  ])("is not %s, asked at %s", (origin, host) => {
    expect(judge(origin, { host })).toBe(false);
  });

  const forwarded = { host: "10.0.0.1:8787", "x-forwarded-host": "app.example", "x-forwarded-proto": "https" };

  it.each([
    ["https://app.example", forwarded],
    ["https://app.example", { ...forwarded, "x-forwarded-host": "app.example, inner.example" }],
    ["https://app.example", { ...forwarded, "x-forwarded-port": "443" }],
    ["https://app.example:8443", { ...forwarded, "x-forwarded-host": "app.example:8443" }],
    ["https://app.example:8443", { ...forwarded, "x-forwarded-port": "8443" }],
    ["http://app.example:8080", { host: "app.example" }],
    ["https://app.example", { host: "app.example", "x-forwarded-proto": "http" }],
  ])("is known as %s by %j, of a proxy that is trusted alone", (origin, headers) => {
    for (const proxies of [true, 1, "10.0.0.0/8"]) expect(judge(origin, headers, proxies)).toBe(true);
    const plain = judge(origin, { host: headers.host });
    for (const proxies of [false, 0, "loopback"]) expect(judge(origin, headers, proxies)).toBe(plain);
  });

  it.each([
    ["https://evil.example", forwarded],
    ["http://app.example", forwarded],
    ["https://app.example:8443", { ...forwarded, "x-forwarded-port": "443" }],
    ["https://app.example:8443", { ...forwarded, "x-forwarded-host": "app.example:443" }],
    ["https://10.0.0.1:8787", forwarded],
  ])("is not %s by %j, of a proxy that is trusted", (origin, headers) => {
    expect(judge(origin, headers, true)).toBe(false);
  });
});
