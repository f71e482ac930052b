import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadConfig } from "../src/config.js";
import { ERRORS } from "../src/errors.js";
import { FAULTS } from "./faults/faults.js";
import { type Service, startService } from "./support/service.js";
import { until } from "./support/until.js";

const readme = await readFile("README.md", "utf8");
const tenants = await readFile("docs/tenants.md", "utf8");
const blocks = blocksOf(readme);

/** A page's blocks for a shell. */
function blocksOf(page: string): string[] {
  return [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
}

/** The rows of a page's one table, as their cells. */
async function table(page: string): Promise<string[][]> {
  return [...(await readFile(page, "utf8")).matchAll(/^\|(.+)\|$/gm)]
    .slice(2)
    .map(([, row]) => (row ?? "").split("|").map((cell) => cell.trim()));
}

describe("the documentation", () => {
  it("lists the errors as the code has them", async () => {
    const rows = (await table("docs/errors.md")).map(([, status, error, code]) => [error, Number(status), code]);
    const codes = Object.entries(ERRORS).map(([error, { status, graphql }]) => [
      `\`${error}\``,
      status,
      `\`${graphql}\``,
    ]);
    expect(new Set(rows.map(String))).toEqual(new Set(codes.map(String)));
  });

  it("lists the settings that the code reads", async () => {
    const listed = (await table("docs/settings.md")).flatMap(([names]) =>
      [...(names ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
    const read = [...(await readFile("src/config.ts", "utf8")).matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(
      ([, name]) => name,
    );
    expect(new Set(listed)).toEqual(new Set(read));
    expect(loadConfig({}).port).toBe(8787);
  });

  it("lists the faults that the suite is seen to catch", async () => {
    const page = await readFile("docs/reliability.md", "utf8");
    const listed = /<!-- faults -->([\s\S]*)<!-- \/faults -->/.exec(page)?.[1] ?? "";
    expect([...listed.matchAll(/^- (.+)$/gm)].map(([, name]) => name)).toEqual(FAULTS.map(({ name }) => name));
  });

  it("has no link that leads nowhere", async () => {
    const pages = ["README.md", "SECURITY.md", ...(await readdir("docs")).map((name) => `docs/${name}`)];
    const links = await Promise.all(
      pages.map(async (page) =>
        [...(await readFile(page, "utf8")).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, to]) =>
          join(dirname(page), to ?? ""),
        ),
      ),
    );
    expect(links.flat().length).toBeGreaterThan(10);
    expect(links.flat().filter((to) => !existsSync(to))).toEqual([]);
  });

  describe("in a fresh folder", () => {
    let dataDir: string;
    let service: Service;
    beforeAll(async () => {
      dataDir = await mkdtemp(join(tmpdir(), "atlas-readme-"));
      service = await startService({ DATA_DIR: dataDir, JWT_SECRET: "" });
    });
    afterAll(async () => {
      expect(await service.end("SIGTERM")).toBe(0);
      await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    });

    /** Runs shell lines as a user would who has pasted them, against this test's service. */
    const shell = (lines: string): Promise<string> =>
      run(
        lines
          .replaceAll("http://127.0.0.1:8787", service.url)
          .replaceAll("npm run --silent cli --", `'${process.execPath}' dist/cli/main.js`),
      );

    function run(script: string): Promise<string> {
      const env = { PATH: process.env["PATH"] ?? "", DATA_DIR: dataDir, PORT: new URL(service.url).port };
      return new Promise((resolve, reject) => {
        execFile("bash", ["-euc", script], { env }, (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(`${script}\n${stderr}`, { cause: error }));
        });
      });
    }

    it("has commands that work: token, REST, GraphQL, a subscriber", async () => {
      const [exports = "", watch = "", rest = "", graphql = ""] = blocks.slice(1);
      const seen = join(dataDir, "seen");
      const out = await shell(`${exports}
        ${watch.trim().replace(/&$/, `> ${seen} &`)}
        ${graphql}
        # The watcher starts in the background: what is enqueued before it has connected is not for it.
        for n in $(seq 1 20); do ${rest.trim()}; grep -q COMPLETED ${seen} && break; sleep 0.5; done
        kill %1`);
      expect(out).toMatch(/\{"ok":true,"id":"[0-9a-f-]{36}","status":"queued"\}/);
      expect(out).toMatch(/\{"data":\{"createJob":\{"job":\{"id":"[0-9a-f-]{36}","status":"QUEUED"\},"eventCursor":"/);
      expect(await readFile(seen, "utf8")).toMatch(/"version":3,.*"status":"COMPLETED"/);
    });

    it("has commands that work: create, wait, print the output; a stream that ends with the job", async () => {
      const [wait = "", stream = ""] = blocksOf(await readFile("docs/rest.md", "utf8"));
      const out = await shell(`${blocks[1]} ${wait} ${stream}`);
      const [job = "", ...events] = out.trimEnd().split("\n");
      expect(JSON.parse(job)).toMatchObject({ ok: true, job: { status: "completed", output: { rejected: [] } } });
      expect(events.slice(-6).join("\n")).toMatch(
        /"status":"completed",.*"output":\{[\s\S]*event: end\ndata: \{"ok":true\}$/,
      );
    });

    it("has a front page with lines that work: token, watch, create", async () => {
      const page = await (await fetch(service.url, { headers: { accept: "text/html" } })).text();
      const [token = "", watch = "", create = ""] = /<pre>\n([\s\S]*)\n<\/pre>/.exec(page)?.[1]?.split("\n") ?? [];
      const seen = join(dataDir, "seen-page");
      const out = await shell(`${token}
        ${watch.replace(/&amp;$/, `> ${seen} &`)}
        for n in $(seq 1 20); do ${create}; grep -q COMPLETED ${seen} && break; sleep 0.5; done
        kill %1`);
      expect(out).toContain('"ok":true');
      expect(await readFile(seen, "utf8")).toMatch(/"version":3,.*"status":"COMPLETED"/);
    });

    it("has commands that work: tenant, member, token", async () => {
      const out = await shell(blocksOf(tenants).find((block) => block.includes("tenant create")) ?? "false");
      expect(out).toMatch(/^33333333-.*\n44444444-.* is member of 33333333-.* with a starter seat\ney/);
    });

    it("prints lines at the start that work when pasted", async () => {
      const printed = await until(() => /(export TENANT[\s\S]*?)\nIn a browser/.exec(service.output())?.[1]);
      const seen = join(dataDir, "seen-pasted");
      // Through npm, as pasted. This waits for the watcher's end, since it inherits standard error.
      const pasted = printed.replace(/ &$/m, ` > ${seen} &`);
      const out = await run(`${pasted}
        for n in $(seq 1 100); do [ "$(grep -c COMPLETED ${seen})" -ge 2 ] && break; sleep 0.2; done
        kill %1`);
      expect((await readFile(seen, "utf8")).match(/"version":3,.*"COMPLETED"/g)?.length).toBeGreaterThanOrEqual(2);
      expect(out.match(/"ok":true/g)).toHaveLength(2);
      expect(out).toContain('"createJob"');
    });
  });
});
