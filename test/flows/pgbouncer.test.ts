import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createAtlasClient } from "../../src/client/index.js";
import { Database } from "../../src/database/database.js";
import { asSuperuser, createTenant, useDatabase, silent, SYSTEM } from "../support/database.js";
import { serviceMember, startService } from "../support/service.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";

/** Debian has it in /usr/sbin; where it is not installed, nothing here can be shown. */
const PATH = `${process.env["PATH"]}:/usr/sbin`;
const installed = spawnSync("pgbouncer", ["--version"], { env: { PATH } }).status === 0;

const own = useDatabase({ per: "test" });
let folder: string;
let bouncer: ChildProcess;

(installed ? describe : describe.skip)("behind PgBouncer in transaction mode", () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "atlas-bouncer-"));
    await chmod(folder, 0o755);
  });

  /** @returns the database's address behind it. */
  async function startBouncer(connections: number): Promise<string> {
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
     default_pool_size = ${connections}
     max_client_conn = 100`,
    );
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    bouncer = spawn("pgbouncer", [...user, join(folder, "ini")], { env: { PATH }, stdio: "ignore" });
    await until(() => canConnect(port));
    return Object.assign(new URL(own.url), { port: String(port) }).href;
  }

  afterEach(async () => {
    const ended = once(bouncer, "exit");
    bouncer.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true });
  });

  it.each(["off", "on"])("enqueues, works, watches and drains, with NOTIFY %s", async (notify) => {
    const member = await serviceMember(own);
    const url = await startBouncer(4);
    const variables = { DATABASE_URL: url, DATA_DIR: folder, NOTIFY: notify, CREATE_LIMIT_PER_MINUTE: "0" };
    const [api, worker] = await Promise.all([
      startService({ ...variables, ROLE: "api" }),
      startService({ ...variables, ROLE: "worker" }),
    ]);
    for (const service of [api, worker]) atEnd(() => service.end("SIGKILL"));
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

  it("carries nothing of a tenant's transaction over to the next on the same server connection", async () => {
    const tenants = [await createTenant(own.database), await createTenant(own.database)];
    await own.database.transaction(SYSTEM, (tx) =>
      tx.query("insert into jobs (tenant_id, job_type) select id, 'A' from tenants"),
    );
    const url = await startBouncer(1);
    const database = await Database.connect({ url, poolSize: 4, log: silent });
    const outsider = new pg.Client({ connectionString: url });
    await outsider.connect();
    const connections = new Set<number>();
    const look = `select pg_backend_pid() as pid, array(select tenant_id::text from jobs) as tenants,
      current_user as role, coalesce(current_setting('atlas.tenant_id', true), '') as tenant`;
    interface Look {
      pid: number;
      tenants: string[];
    }

    const request = async (tenantId: string, fails: boolean): Promise<string[]> => {
      let seen: string[] = [];
      const done = database.transaction({ role: "api", tenantId, actor: "user:me" }, async (tx) => {
        const [row] = await tx.query<Look>(look);
        seen = row!.tenants;
        connections.add(row!.pid);
        if (fails) throw new Error("rolled back");
      });
      await done.catch((error: unknown) => {
        if (!fails) throw error;
      });
      return seen;
    };
    const outside = async (): Promise<unknown> => {
      const [row] = (await outsider.query<Look>(look)).rows;
      const { pid, ...rest } = row!;
      connections.add(pid);
      return rest;
    };
    const nothing = { tenants: [], role: "atlas", tenant: "" };

    for (let round = 0; round < 5; round += 1) {
      const [seen, left] = await Promise.all([
        Promise.all([0, 1, 0, 1].map((n, at) => request(tenants[n]!.tenantId, at === round % 4))),
        outside(),
      ]);
      expect(seen).toEqual([0, 1, 0, 1].map((n) => [tenants[n]!.tenantId]));
      expect([left, await outside()]).toEqual([nothing, nothing]);
    }
    expect(connections.size).toBe(1);

    // A client that vanishes within its transaction leaves nothing either.
    const vanishing = new pg.Client({ connectionString: url });
    vanishing.on("error", () => undefined);
    await vanishing.connect();
    await vanishing.query("begin");
    await vanishing.query("select set_config('role', $1, true), set_config('atlas.tenant_id', $2, true)", [
      database.roleName("worker"),
      tenants[0]!.tenantId,
    ]);
    const left = outside();
    vanishing.connection.stream.destroy();
    expect(await left).toEqual(nothing);
    await outsider.end();
    await database.close();
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
