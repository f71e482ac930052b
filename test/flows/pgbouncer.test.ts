import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAtlasClient } from "../../src/client/index.js";
import { asSuperuser, createTestDatabase, type TestDatabase } from "../support/database.js";
import { type Service, serviceMember, startService } from "../support/service.js";
import { until } from "../support/until.js";

/** Debian has it in /usr/sbin; where it is not installed, nothing here can be shown. */
const PATH = `${process.env["PATH"]}:/usr/sbin`;
const installed = spawnSync("pgbouncer", ["--version"], { env: { PATH } }).status === 0;

let own: TestDatabase;
let folder: string;
let bouncer: ChildProcess;
let url: string;
const services: Service[] = [];

(installed ? describe : describe.skip)("behind PgBouncer in transaction mode", () => {
  beforeEach(async () => {
    own = await createTestDatabase();
    folder = await mkdtemp(join(tmpdir(), "atlas-bouncer-"));
    await chmod(folder, 0o755);
    const direct = new URL(own.url);
    const port = await freePort();
    await writeFile(join(folder, "users"), `"${direct.username}" "${decodeURIComponent(direct.password)}"\n`);
    await writeFile(
      join(folder, "ini"),
      `[databases]
     * = host=${direct.hostname} port=${direct.port}
     [pgbouncer]
     listen_addr = 127.0.0.1
     listen_port = ${port}
     unix_socket_dir =
     auth_type = scram-sha-256
     auth_file = ${join(folder, "users")}
     pool_mode = transaction
     default_pool_size = 4
     max_client_conn = 100`,
    );
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    bouncer = spawn("pgbouncer", [...user, join(folder, "ini")], { env: { PATH }, stdio: "ignore" });
    await until(() => canConnect(port));
    url = Object.assign(new URL(own.url), { port: String(port) }).href;
  });

  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.end("SIGKILL")));
    const ended = once(bouncer, "exit");
    bouncer.kill("SIGKILL");
    await ended;
    await own.drop();
    await rm(folder, { recursive: true });
  });

  it.each(["off", "on"])("enqueues, works, watches and drains, with NOTIFY %s", async (notify) => {
    const member = await serviceMember(own);
    const variables = { DATABASE_URL: url, DATA_DIR: folder, NOTIFY: notify, CREATE_LIMIT_PER_MINUTE: "0" };
    const [api, worker] = await Promise.all([
      startService({ ...variables, ROLE: "api" }),
      startService({ ...variables, ROLE: "worker" }),
    ]);
    services.push(api, worker);
    const client = createAtlasClient({ url: api.url, tenantId: member.tenantId, token: member.token });
    const { eventCursor: after } = await client.list();
    const jobs = 40;
    await Promise.all(
      Array.from({ length: jobs }, (_, n) =>
        client.enqueue({ jobType: "EMAIL_SEND", input: { to: `u${n}@example.com` } }),
      ),
    );
    let completed = 0;
    for await (const { status } of client.watch({ after })) {
      if (status === "COMPLETED" && ++completed === jobs) break;
    }
    // Nothing of one transaction's role, tenant or limits is left on a server's connection for the next.
    expect(await asSuperuser("select status, count(*)::int as n from jobs group by status", own.superuserUrl)).toEqual([
      { status: "completed", n: jobs },
    ]);
    expect(await Promise.all([api.end("SIGTERM"), worker.end("SIGTERM")])).toEqual([0, 0]);
  });
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(true));
    socket.once("error", () => resolve(false)).once("connect", () => socket.destroy());
  });
}
