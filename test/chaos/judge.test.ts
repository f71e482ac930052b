import { Cursors } from "../../dist/services/cursors.js";
import { readCursorKey } from "../../src/database/installation.js";
import { useApi, useMember } from "../support/api.js";
import { asSuperuser } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { type Command, command, type CommandKind } from "./commands.js";
import { mayBeLost } from "./failover.js";
import type { Finding } from "./finding.js";
import { judgeEnds } from "./findings.js";
import { judgeCommands, judgeTable } from "./judge-commands.js";
import { judgeWatchers } from "./judge-watchers.js";
import { readLog } from "./log.js";
import { type ChaosWatcher, startWatcher } from "./watcher.js";

const api = useApi({}, { per: "test" });
const member = useMember(api, { per: "test" });
let commands: Command[];
let watchers: ChaosWatcher[];

beforeEach(() => {
  commands = [];
  watchers = [];
});

const sql = (statement: string): Promise<unknown[]> => asSuperuser(statement, api.own.superuserUrl);

async function create(input: Record<string, unknown> = {}): Promise<string> {
  const body = JSON.stringify({ jobType: "A", ...input });
  const answer = await fetch(`${api.url}/v1/jobs`, { method: "POST", headers: member.headers, body });
  return ((await answer.json()) as { id: string }).id;
}

async function ask(kind: CommandKind, jobId: string): Promise<Command> {
  const asked = await command({ url: api.url, ...member }, kind, jobId);
  commands.push(asked);
  return asked;
}

/** Takes the last event of a job back, as if its transaction had never been, but for what is then done to the row. */
async function lose(jobId: string, row: string): Promise<void> {
  // Nothing derives or refuses anything for this session.
  await sql(`set session_replication_role = replica;
    delete from job_events e where job_id = '${jobId}'
      and version = (select max(version) from job_events where job_id = e.job_id);
    ${row}`);
}

async function judge(failovers: Parameters<typeof judgeCommands>[2] = []): Promise<Finding[]> {
  const log = await readLog(api.own.superuserUrl);
  const found = [...judgeCommands(commands, log, failovers), judgeTable(log), judgeEnds(log)];
  return found.filter(({ wrong }) => wrong.length > 0);
}

const HAPPENED = "acknowledged cancels, retries and deletes have happened, once";
const ASKED_FOR = "nothing was canceled, retried or deleted that nobody asked for, or that was refused";
const AS_LOGGED = "each job is as its last event says";

async function startJob(id: string): Promise<void> {
  await sql(
    `update jobs set status = 'running', attempt = attempt + 1, worker_id = gen_random_uuid() where id = '${id}'`,
  );
}

describe("the judge of commands", () => {
  it("finds nothing wrong with what has happened as it was answered", async () => {
    const [one, two] = [await create(), await create()];
    const told = [
      await ask("cancel", one),
      await ask("retry", one),
      await ask("cancel", one),
      await ask("delete", one),
    ];
    told.push(await ask("retry", two), await ask("cancel", one));
    await startJob(two);
    told.push(await ask("delete", two), await ask("cancel", two));
    await sql(`update jobs set status = 'canceled' where id = '${two}'`);
    expect(told.map(({ outcome, job }) => [outcome, job?.version ?? null])).toEqual([
      ["done", 2],
      ["done", 3],
      ["done", 4],
      ["done", null],
      ["refused", null],
      ["refused", null],
      ["refused", null],
      ["done", 2],
    ]);
    expect(await judge()).toEqual([]);
  });

  it("names a cancel that was lost", async () => {
    const id = await create();
    await ask("cancel", id);
    await lose(id, `update jobs set status = 'queued', version = 1, finished_at = null where id = '${id}'`);
    const found = await judge();
    expect(found[0]).toMatchObject({ what: HAPPENED, wrong: [`cancel ${id}, told canceled at version 2`] });
  });

  it("names a cancel that was undone with nobody's retry", async () => {
    const id = await create();
    await ask("cancel", id);
    await sql(`update jobs set status = 'queued' where id = '${id}'`);
    await sql(`update jobs set status = 'canceled' where id = '${id}'`);
    expect(await judge()).toMatchObject([
      { what: ASKED_FOR, wrong: [`retry ${id} at version 3 by database:postgres`, expect.stringContaining("cancel")] },
    ]);
  });

  it("names a running job that completed although its cancel was acknowledged", async () => {
    const id = await create();
    await startJob(id);
    await ask("cancel", id);
    await sql(`update jobs set status = 'completed' where id = '${id}'`);
    expect(await judge()).toMatchObject([{ what: HAPPENED, wrong: [`cancel ${id}, told running at version 2`] }]);
  });

  it("names a retry that was lost", async () => {
    const id = await create();
    await ask("cancel", id);
    await ask("retry", id);
    await lose(
      id,
      `update jobs set status = 'canceled', version = 2, due = false, finished_at = now() where id = '${id}'`,
    );
    expect(await judge()).toMatchObject([{ what: HAPPENED, wrong: [`retry ${id}, told queued at version 3`] }]);
  });

  it("names a delete that was lost", async () => {
    const id = await create();
    await ask("cancel", id);
    await sql(`create table kept as select * from jobs`);
    await ask("delete", id);
    await lose(id, "insert into jobs select * from kept");
    expect(await judge()).toMatchObject([{ what: HAPPENED, wrong: [`delete ${id}, told nothing`] }]);
  });

  it("names a delete whose job came back, and a row that the log does not know", async () => {
    const id = await create();
    await ask("cancel", id);
    await sql(`create table kept as select * from jobs`);
    await ask("delete", id);
    await sql("set session_replication_role = replica; insert into jobs select * from kept");
    expect(await judge()).toMatchObject([{ what: AS_LOGGED, wrong: [expect.stringContaining("says gone")] }]);
  });

  it("names what happened although it was refused, and excuses what had no answer", async () => {
    const id = await create();
    const asked = await ask("cancel", id);
    commands = [{ ...asked, outcome: "unanswered", job: null }];
    expect(await judge()).toEqual([]);
    commands = [{ ...asked, outcome: "refused", job: null }];
    expect(await judge()).toMatchObject([{ what: ASKED_FOR, wrong: [expect.stringContaining(`cancel ${id}`)] }]);
  });

  it("excuses a loss only where a failover may have lost it", async () => {
    const id = await create();
    const { answeredAt, askedAt } = await ask("cancel", id);
    await ask("cancel", await create());
    await sql(`delete from jobs where id = '${id}'`);
    await sql("set session_replication_role = replica; delete from job_events where status is null");
    await lose(id, "");
    const failover = { safeAt: askedAt - 10, endedAt: answeredAt + 10, safePosition: 0n };
    expect(mayBeLost([failover], askedAt, answeredAt)).toBe(true);
    expect((await judge([failover])).map(({ what }) => what)).not.toContain(HAPPENED);
    const later = { ...failover, safeAt: answeredAt + 1 };
    expect((await judge([later])).map(({ what }) => what)).toContain(HAPPENED);
  });
});

it("takes no job for settled that waits for a time to come", async () => {
  const id = await create({ runAt: new Date(Date.now() + 3_600_000) });
  expect(await judge()).toMatchObject([{ what: "every job has ended", wrong: [`${id}: queued`] }]);
});

describe("the judge of watchers", () => {
  const watch = async (): Promise<ChaosWatcher> => {
    const cursors = new Cursors(await readCursorKey(api.database));
    const { url } = api;
    const watcher = await startWatcher({ url, ...member, status: null, keepsRows: true, cursors });
    watchers.push(watcher);
    atEnd(() => watcher.stop());
    return watcher;
  };
  const judgeAll = async (failovers: Parameters<typeof judgeWatchers>[2] = []): Promise<string[]> => {
    const found = await judgeWatchers(watchers, await readLog(api.own.superuserUrl), failovers);
    return found.flatMap(({ wrong }) => wrong);
  };

  it("finds nothing wrong with one that saw everything", async () => {
    await create();
    await watch();
    const id = await create();
    await ask("cancel", id);
    await ask("delete", id);
    await create();
    expect(await judgeAll()).toEqual([]);
  });

  it("names an event that a watcher has not seen, one too many, and a row that it has wrong", async () => {
    const watcher = await watch();
    const id = await create();
    await create();
    expect(await judgeAll()).toEqual([]);
    const [leg] = watcher.legs;
    const [first] = leg!.seen.splice(0, 1);
    watcher.rows!.delete(id);
    expect(await judgeAll()).toEqual([
      expect.stringContaining("1 of 2 events; at 0 came"),
      `${id} queued at version 1: not known to the watcher`,
    ]);
    leg!.seen.unshift(first!, first!);
    expect((await judgeAll())[0]).toContain("3 of 2 events");
  });

  it("lets a cursor expire, and shown events be gone, only where a failover lost something", async () => {
    const watcher = await watch();
    await create();
    const lost = await create();
    const seen = watcher.legs[0]!.seen;
    await until(() => seen.length === 2);
    watcher.rows!.delete(lost);
    await lose(lost, `delete from jobs where id = '${lost}'`);
    // The watcher goes on behind the lost event as if nothing had happened.
    expect((await judgeAll())[0]).toContain("2 of 1 events");
    watcher.legs[0]!.expired = true;
    const start = { position: seen[1]!.position + 1n, id: 0n };
    watcher.legs.push({ start, startedAt: Date.now(), seen: [], expired: false });
    expect((await judgeAll())[0]).toContain("expired, but nothing was lost before it");
    const failover = { safeAt: Date.now(), endedAt: Date.now(), safePosition: seen[1]!.position };
    expect(await judgeAll([failover])).toEqual([]);
    expect((await judgeAll([{ ...failover, safePosition: seen[1]!.position + 1n }]))[0]).toContain("nothing was lost");
    const earlier = { ...failover, endedAt: watcher.legs[0]!.startedAt - 1 };
    expect((await judgeAll([earlier]))[0]).toContain("nothing was lost");
  });
});
