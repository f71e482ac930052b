import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { type AtlasClient, createAtlasClient } from "../../src/client/index.js";
import { Database } from "../../src/database/database.js";
import { migrate } from "../../src/database/migrate.js";
import type { TestMember } from "../support/api.js";
import { asSuperuser, silent } from "../support/database.js";
import { debianPrograms, type DebianPostgresql, startDebianPostgresql } from "../support/debian-postgresql.js";
import { type Service, serviceMember, startService } from "../support/service.js";

const PASSWORD = randomUUID();
const [dumps = "", restores = ""] = [
  ...(await readFile("docs/restore.md", "utf8")).matchAll(/```sh\n([\s\S]*?)```/g),
].map(([, block]) => block ?? "");

let folder: string;
let old: DebianPostgresql;
let fresh: DebianPostgresql;
let member: TestMember;
let services: Service[] = [];

/** The address of a database of a cluster, for its superuser or for the login. */
function at(cluster: DebianPostgresql, database: string, login?: string): string {
  const url = Object.assign(new URL(cluster.superuserUrl), { pathname: `/${database}` });
  return (login === undefined ? url : Object.assign(url, { username: login, password: PASSWORD })).href;
}

/** Runs shell lines as an operator would who has pasted them. */
function shell(lines: string, cluster: DebianPostgresql): Promise<string> {
  const script = lines.replaceAll("npm run --silent cli --", `'${process.execPath}' '${resolve("dist/cli/main.js")}'`);
  const env = {
    PATH: [debianPrograms ?? "", dirname(process.execPath), process.env["PATH"]].join(delimiter),
    SUPERUSER_URL: at(cluster, "").replace(/\/$/, ""),
    DATABASE_URL: at(cluster, "atlas", "atlas"),
    PASSWORD,
  };
  return new Promise((done, reject) => {
    execFile("bash", ["-euc", script], { env, cwd: folder }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else reject(new Error(stderr, { cause: error }));
    });
  });
}

async function start(cluster: DebianPostgresql, role: string): Promise<Service> {
  const variables = { DATABASE_URL: at(cluster, "atlas", "atlas"), DATA_DIR: folder, CREATE_LIMIT_PER_MINUTE: "0" };
  const service = await startService({ ...variables, ROLE: role });
  services.push(service);
  return service;
}

const clientOf = ({ url }: Service): AtlasClient =>
  createAtlasClient({ url, tenantId: member.tenantId, token: member.token });
const mail = { jobType: "EMAIL_SEND", input: { to: "a@example.com" } };

(debianPrograms === null ? describe.skip : describe)("a dump restored into a fresh cluster", () => {
  /** Of the old cluster: cursors from before the dump, and one from after it. */
  let before: string[];
  let after: string;
  let counts: unknown;
  const COUNTS = "select (select count(*)::int from jobs) as jobs, (select count(*)::int from job_events) as events";

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "atlas-dump-"));
    [old, fresh] = await Promise.all([startDebianPostgresql(), startDebianPostgresql()]);
    const [makeLogin = ""] = restores.split("\n");
    await shell(makeLogin, old);
    const database = await Database.connect({ url: at(old, "atlas", "atlas"), poolSize: 2, log: silent });
    await migrate(database);
    member = await serviceMember({ database });
    await database.close();

    const service = await start(old, "all");
    const client = clientOf(service);
    const { eventCursor } = await client.list();
    for (const _ of [1, 2, 3]) await client.enqueue(mail);
    before = [eventCursor];
    let completed = 0;
    for await (const { cursor, status } of client.watch({ after: eventCursor })) {
      before.push(cursor);
      if (status === "COMPLETED" && ++completed === 3) break;
    }
    await client.enqueue({ jobType: "NOBODY" });
    counts = (await asSuperuser(COUNTS, at(old, "atlas")))[0];
    await shell(dumps, old);
    after = (await client.enqueue({ jobType: "NOBODY" })).eventCursor;
  });
  afterEach(async () => {
    await Promise.all(services.map((service) => service.end("SIGKILL")));
    services = [];
    await asSuperuser("drop database if exists atlas with (force)", at(fresh, "postgres"));
    await asSuperuser(
      "drop role if exists atlas_api_atlas, atlas_feed_atlas, atlas_worker_atlas, atlas",
      at(fresh, "postgres"),
    );
  });
  afterAll(async () => {
    await Promise.all([old?.remove(), fresh?.remove()]);
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ["its owner, who is no superuser", restores],
    ["a superuser", restores.replace('"$DATABASE_URL"', '"$SUPERUSER_URL/atlas"')],
  ])("by %s works as the page says: jobs, events and cursors go on", async (_whose, lines) => {
    await shell(lines, fresh);
    expect((await asSuperuser(COUNTS, at(fresh, "atlas")))[0]).toEqual(counts);
    const [api] = await Promise.all([start(fresh, "api"), start(fresh, "worker")]);
    const client = clientOf(api);
    expect((await client.list()).jobs.map(({ jobType, status }) => `${jobType} ${status}`).toSorted()).toEqual([
      ...Array<string>(3).fill("EMAIL_SEND COMPLETED"),
      "NOBODY QUEUED",
    ]);
    const { job } = await client.enqueue(mail);
    for (const index of [0, 4, before.length - 1]) {
      // All that came after it before the dump, the last create, and what the new server has done since.
      const seen: string[] = [];
      for await (const change of client.watch({ after: before[index] ?? "" })) {
        if (change.jobId === job.id && change.status === "COMPLETED") break;
        seen.push(change.cursor);
      }
      expect(seen.slice(0, before.length - 1 - index)).toEqual(before.slice(index + 1));
      expect(seen).toHaveLength(before.length - 1 - index + 3);
    }
    await expect(client.watch({ after }).next()).rejects.toMatchObject({ code: "CURSOR_EXPIRED" });
  });

  it("without the roles is refused, by pg_restore and then by the service, which says what to do", async () => {
    const unprepared = restores.replace(/^npm.*\n/m, "");
    await expect(shell(unprepared, fresh)).rejects.toThrow(/role "atlas_api_atlas" does not exist/);
    await shell('pg_restore --clean --if-exists --dbname="$DATABASE_URL" atlas.dump || true', fresh);
    await expect(start(fresh, "api")).rejects.toThrow(
      /the role atlas_api_atlas does not exist: .* make them in an empty database \(npm run cli -- roles\), and restore the whole dump after that/,
    );
  });
});
