import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { call } from "../rest/call.js";

import { useDatabase } from "../support/database.js";
import { ask, send } from "../support/graphql.js";
import { serviceMember, startService } from "../support/service.js";
import { atEnd, useFixture } from "../support/use.js";

const own = useDatabase();
const member = useFixture(() => serviceMember(own));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "atlas-layout-"));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  for (const name of ["src", "package.json", "tsconfig.json", "tsconfig.build.json"]) {
    await cp(name, join(folder, name), { recursive: true });
  }
  await symlink(resolve("node_modules"), join(folder, "node_modules"), "junction");
});

const source = (name: string) => join(folder, "src", name);

/** Deletes a surface's folder, and its lines in the one file that composes the surfaces. */
async function remove(surface: "graphql" | "rest"): Promise<void> {
  await rm(source(surface), { recursive: true });
  const lines = (await readFile(source("surfaces.ts"), "utf8")).split("\n");
  const left = lines.filter((line) => !line.toLowerCase().includes(surface));
  expect(lines.length - left.length).toBe(2);
  await writeFile(source("surfaces.ts"), left.join("\n"));
}

/** Checks the types, and builds. @returns what the compiler finds wrong */
async function build(): Promise<string> {
  const compiler = resolve("node_modules/typescript/bin/tsc");
  const child = spawn(
    process.execPath,
    [compiler, "-p", "tsconfig.build.json", "--declaration", "false", "--sourceMap", "false"],
    {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  await once(child, "close");
  return output;
}

const serve = () => startService({ DATABASE_URL: own.url, ROLE: "api" }, join(folder, "dist"));

it("serves GraphQL without the folder of REST", async () => {
  await remove("rest");
  expect(await build()).toBe("");
  const service = await serve();
  const viewer = await ask<{ userId: string }>(service, member, "{ viewer { userId } }");
  expect(viewer.userId).toBe(member.userId);
  expect((await fetch(`${service.url}/v1/jobs/list`, { headers: member.headers })).status).toBe(404);
  expect(await service.end("SIGTERM")).toBe(0);
});

it("serves REST without the folder of GraphQL", async () => {
  await remove("graphql");
  expect(await build()).toBe("");
  const service = await serve();
  const created = await call(service, "POST", "/v1/jobs", member.headers, { jobType: "A" });
  const { body } = await call(service, "GET", `/v1/jobs/${created.body.id}`, member.headers);
  expect(body.job?.jobType).toBe("A");
  expect((await send(service, "{ viewer { userId } }", {}, member.headers)).status).toBe(404);
  expect(await service.end("SIGTERM")).toBe(0);
});
