import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startService } from "../support/service.js";

let folder: string;
let other: net.Server;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-port-"));
  other = net.createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
});
afterAll(async () => {
  other.close();
  await rm(folder, { recursive: true });
});

/** All that a service says which does not start. */
const saidBy = (variables: Record<string, string>) =>
  startService({ DATA_DIR: join(folder, "data"), ...variables }).then(
    () => "it started",
    (error: Error) => error.message,
  );

describe("a start", () => {
  it.each(["all", "api", "worker"])(
    "says in one line that the port is taken, and makes nothing (ROLE=%s)",
    async (ROLE) => {
      const { port } = other.address() as AddressInfo;
      expect(
        await saidBy({ ROLE, PORT: String(port), DATABASE_URL: ROLE === "all" ? "" : "postgres://nowhere.invalid" }),
      ).toBe(
        `the service ended with 1:\nCannot listen on http://127.0.0.1:${port}: another program uses PORT ${port}. ` +
          `Stop it, or start with another port, such as PORT=${port === 65_535 ? 8787 : port + 1} (EADDRINUSE)\n`,
      );
      expect(existsSync(join(folder, "data"))).toBe(false);
    },
  );

  it("says that HOST is no address of this machine", async () => {
    expect(await saidBy({ HOST: "192.0.2.1" })).toMatch(
      /^the service ended with 1:\nCannot listen on http:\/\/192\.0\.2\.1:0: HOST must be an address of this machine\. .*\(EADDRNOTAVAIL\)\n$/,
    );
  });
});
