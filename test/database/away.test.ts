import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { unavailableIfAway } from "../../src/database/away.js";

it("takes a connection that is refused for a database that is away, also as the cause of another error", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const refused: unknown = await once(connect(port, "127.0.0.1"), "connect").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "ECONNREFUSED" });
  for (const error of [refused, new Error("no connection", { cause: refused })]) {
    expect(unavailableIfAway(error)).toMatchObject({ code: "unavailable" });
  }
});
