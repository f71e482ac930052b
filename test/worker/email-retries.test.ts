import { createHandlers } from "../../src/handlers/create-handlers.js";
import type { Handler, RegisteredHandler } from "../../src/handlers/handler.js";
import { retryDelayMs } from "../../src/queue/retry-policy.js";
import { refuse, replyOf, useMailRig } from "../handlers/email-rig.js";
import { silent } from "../support/database.js";
import { until } from "../support/until.js";
import { atEnd } from "../support/use.js";
import { MUTE, useRig } from "./rig.js";

const DAY_MS = 24 * 3_600_000;
const INPUT = { to: "jane@example.com", cc: "later@example.com", bcc: "no@example.com" };

const mail = useMailRig();
const rig = useRig({ per: "test" });

/** EMAIL_SEND and ENGINE_RUN as a worker has them. */
async function handlersFor(smtpUrl: string): Promise<Record<string, RegisteredHandler>> {
  const config = { smtpUrl, emailFrom: "jobs@localhost", dataDir: mail.dataDir, handlersDir: null, production: false };
  const { handlers, close } = await createHandlers(config, silent);
  atEnd(close);
  return Object.fromEntries(handlers);
}

/** Lets a job that waits for its next attempt run now. */
async function hurry(id: string): Promise<void> {
  await rig.rows("update jobs set run_at = clock_timestamp() where id = $1 and status = 'queued'", [id]);
  rig.hints.send("queued");
}

const waits = (id: string, attempt: number) =>
  rig.jobThat(id, `waits after attempt ${attempt}`, (job) => job.attempt === attempt && job.status === "queued");

describe("EMAIL_SEND", () => {
  it("tries for more than a day, a minute apart at least, and at most two hours", async () => {
    const { EMAIL_SEND } = await handlersFor("smtp://127.0.0.1:1");
    const { maxAttempts, backoff } = EMAIL_SEND!;
    expect(maxAttempts).toBeLessThanOrEqual(25);
    for (const random of [0, 1]) {
      const delays = Array.from({ length: maxAttempts! - 1 }, (_, index) =>
        retryDelayMs({ attempt: index + 1, backoff, retryAfterMs: null }, random),
      );
      expect(delays.reduce((sum, delayMs) => sum + delayMs)).toBeGreaterThan(DAY_MS);
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(54_000);
      expect(Math.max(...delays)).toBeLessThanOrEqual(7_200_000);
    }
  });

  it.each([
    ["EMAIL_SEND", INPUT],
    ["ENGINE_RUN", { steps: [{ jobType: "EMAIL_SEND", input: INPUT }] }],
  ])("survives a login that is wrong for a day, and is sent once it is right, by %s", async (jobType, input) => {
    let right = false;
    const url = await mail.server({
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      onAuth: (_, __, done) => (right ? done(null, { user: "user" }) : done(replyOf("535 5.7.8 bad password of user"))),
    });
    rig.work(await handlersFor(url.replace("//", "//user:pass@")));
    const id = await rig.enqueue(jobType, { input });
    for (let attempt = 1; attempt < 22; attempt += 1) {
      const job = await waits(id, attempt);
      expect(job.error).toMatchObject({ code: "mail_server_unavailable" });
      expect(job.error?.message).toMatch(/The mail server could not take the mail$/);
      expect(job.runAt.getTime() - job.updatedAt.getTime()).toBeGreaterThanOrEqual(53_000);
      right = attempt === 21;
      await hurry(id);
    }
    expect(await rig.finished(id)).toMatchObject({ status: "completed", attempt: 22, error: null });
    expect(mail.received).toHaveLength(1);
  });

  it("sends the deferred recipients the mail alone, not before greylisting lets it in, and answers all", async () => {
    const replies: Record<string, number> = { "later@example.com": 451, "no@example.com": 550 };
    rig.work(await handlersFor(await mail.server({ onRcptTo: refuse(replies) })));
    const id = await rig.enqueue("EMAIL_SEND", { input: INPUT });
    for (const attempt of [1, 2]) {
      const job = await waits(id, attempt);
      expect(job.error).toMatchObject({ code: "email_deferred" });
      expect(job.runAt.getTime() - job.updatedAt.getTime()).toBeGreaterThan(300_000);
      if (attempt === 2) delete replies["later@example.com"];
      await hurry(id);
    }
    expect((await rig.finished(id)).output).toEqual({
      messageId: `<${id}@atlas-jobs.local>`,
      accepted: ["jane@example.com", "later@example.com"],
      rejected: ["no@example.com"],
      reasons: { "no@example.com": "550 refused" },
    });
    expect(mail.received.map(({ recipients }) => recipients)).toEqual([["jane@example.com"], ["later@example.com"]]);
  });

  it("sends nobody a mail twice when its worker dies between two transactions", async () => {
    const asked = Promise.withResolvers<void>();
    let dead = false;
    const url = await mail.server({
      onRcptTo: ({ address }, { envelope }, done) => {
        if (envelope.rcptTo.length > 0) return done(replyOf("452 4.5.3 one at a time"));
        if (address !== "later@example.com" || dead) return done();
        // The second transaction of the first attempt hangs, and its worker with it.
        return asked.resolve();
      },
    });
    // One slot, which the hanging attempt keeps: a dead worker claims nothing more.
    const dying = rig.work(await handlersFor(url), { intervals: MUTE, hints: rig.otherHints(), concurrency: 1 });
    const id = await rig.enqueue("EMAIL_SEND", { input: INPUT });
    await asked.promise;
    dead = true;
    rig.work(await handlersFor(url));
    expect((await rig.finished(id)).output).toMatchObject({
      accepted: ["jane@example.com", "later@example.com", "no@example.com"],
      rejected: [],
    });
    expect(mail.received.map(({ recipients }) => recipients)).toEqual([
      ["jane@example.com"],
      ["later@example.com"],
      ["no@example.com"],
    ]);
    await dying.drain();
  });

  it("is not sent twice when its attempt ends past the timeout although the server has taken it", async () => {
    const handlers = await handlersFor(await mail.server());
    const send = handlers["EMAIL_SEND"]!;
    const late: Handler = async (input, context) => {
      const output = await send.handler(input, context);
      // As another handler may hold up the event loop.
      for (const endsAt = performance.now() + 2_000; context.attempt === 1 && performance.now() < endsAt;);
      return output;
    };
    rig.work({ EMAIL_SEND: { ...send, handler: late } });
    const id = await rig.enqueue("EMAIL_SEND", { input: { to: "jane@example.com" }, timeoutMs: 2_000 });
    expect(await waits(id, 1)).toMatchObject({ error: { code: "timeout" } });
    await hurry(id);
    expect(await rig.finished(id)).toMatchObject({ status: "completed", output: { accepted: ["jane@example.com"] } });
    expect(mail.received).toHaveLength(1);
  });

  it("is given up as a step of an engine run after the attempts that its creator named", async () => {
    rig.work(await handlersFor("smtp://127.0.0.1:1"));
    const input = { steps: [{ jobType: "EMAIL_SEND", input: INPUT }] };
    const id = await rig.enqueue("ENGINE_RUN", { input, maxAttempts: 2 });
    await waits(id, 1);
    await hurry(id);
    expect(await rig.finished(id)).toMatchObject({ status: "failed", attempt: 2, maxAttempts: 2 });
  });

  it("goes on with the deferred recipients as a step of an engine run", async () => {
    const replies: Record<string, number> = { "later@example.com": 451 };
    rig.work(await handlersFor(await mail.server({ onRcptTo: refuse(replies) })));
    const id = await rig.enqueue("ENGINE_RUN", { input: { steps: [{ jobType: "EMAIL_SEND", input: INPUT }] } });
    const job = await waits(id, 1);
    expect(job.runAt.getTime() - job.updatedAt.getTime()).toBeGreaterThan(300_000);
    delete replies["later@example.com"];
    await hurry(id);
    expect((await rig.finished(id)).output).toMatchObject({
      steps: [{ output: { accepted: ["jane@example.com", "no@example.com", "later@example.com"] } }],
    });
    await until(() => mail.received.length === 2);
  });
});
