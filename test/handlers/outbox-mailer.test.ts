import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bodyOf, useMailRig, headerOf } from "./email-rig.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const MAIL = { to: "jane@example.com", subject: "Hello", text: "Hi Jane" };

const mail = useMailRig();

describe("EMAIL_SEND without a mail server", () => {
  it("writes the mail into the outbox, named after its work", async () => {
    const send = await mail.sender(null);
    const context = contextOf();
    const output = await attemptOf(send, { ...MAIL, bcc: "secret@example.com" }, context);
    expect(output).toEqual({
      messageId: `<${context.workId}@atlas-jobs.local>`,
      accepted: ["jane@example.com", "secret@example.com"],
      rejected: [],
    });
    expect(await readdir(join(mail.dataDir, "outbox"))).toEqual([`${context.workId}.eml`]);
    const message = await readFile(join(mail.dataDir, "outbox", `${context.workId}.eml`), "utf8");
    expect(headerOf(message, "Message-ID")).toBe(`<${context.workId}@atlas-jobs.local>`);
    expect(headerOf(message, "Subject")).toBe("Hello");
    expect(bodyOf(message).trim()).toBe("Hi Jane");
  });

  it("replaces the file when a mail is sent again", async () => {
    const send = await mail.sender(null);
    const context = contextOf();
    await attemptOf(send, { ...MAIL, text: "first" }, context);
    await attemptOf(send, { ...MAIL, text: "second" }, context);
    expect(await readdir(join(mail.dataDir, "outbox"))).toEqual([`${context.workId}.eml`]);
    expect(await readFile(join(mail.dataDir, "outbox", `${context.workId}.eml`), "utf8")).toContain("second");
  });

  it("leaves one whole file when two attempts write at the same time", async () => {
    const send = await mail.sender(null);
    const context = contextOf();
    const input = { ...MAIL, text: "x".repeat(200_000) };
    await Promise.all([attemptOf(send, input, context), attemptOf(send, input, context)]);
    expect(await readdir(join(mail.dataDir, "outbox"))).toEqual([`${context.workId}.eml`]);
  });

  it("writes nothing when the signal has fired", async () => {
    const send = await mail.sender(null);
    const reason = new Error("canceled");
    expect(await failureOf(attemptOf(send, MAIL, contextOf({ signal: AbortSignal.abort(reason) })))).toBe(reason);
    expect(await readdir(mail.dataDir)).toEqual([]);
  });
});
