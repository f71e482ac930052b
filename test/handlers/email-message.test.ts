import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import MimeNode from "nodemailer/lib/mime-node";
import { parseEmail, recipientsOf } from "../../src/handlers/email-message.js";
import type { JsonObject } from "../../src/handlers/handler.js";
import { useMailRig, headerOf } from "./email-rig.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const mail = useMailRig();

describe("EMAIL_SEND's input", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `user${index}@example.com`);
  const oneAddress = "must be one address, name@host or Name <name@host>";
  const dnsName = "must have a domain of at most 255 characters in its ASCII form, each label 63";
  const noControl = "must not contain line breaks or other control characters";

  it.each<[string, JsonObject, string]>([
    ["no recipient", {}, "to must be 1–50 addresses: name@host or Name <name@host>"],
    ["an empty list", { to: [] }, "to must be 1–50 addresses, got 0"],
    ["51 recipients", { to: many(51) }, "to must be 1–50 addresses, got 51"],
    ["51 blind copies", { to: "a@b.example", bcc: many(51) }, "bcc must be 0–50 addresses, got 51"],
    ["a number for a recipient", { to: 7 }, "to must be 1–50 addresses: name@host or Name <name@host>"],
    ["a recipient that is no text", { to: ["a@b.example", null] }, `to[1] ${oneAddress}`],
    ["an empty recipient", { to: "" }, `to ${oneAddress}`],
    ["a name alone", { to: "jane" }, `to ${oneAddress}`],
    ["two addresses in one text", { to: "a@b.example, c@d.example" }, `to ${oneAddress}`],
    ["two addresses parted by a blank", { to: "a@b.example c@d.example" }, `to ${oneAddress}`],
    ["two addresses in brackets", { to: "J <a@b.example> <c@d.example>" }, `to ${oneAddress}`],
    ["a group", { to: "Team: a@b.example;" }, `to ${oneAddress}`],
    ["a comma in the host", { to: "a@b.example,evil.example" }, `to ${oneAddress}`],
    ["a host with a blank", { to: "<a@b.example evil.example>" }, `to ${oneAddress}`],
    ["an address with two @", { to: "a@b.example@evil.example" }, `to ${oneAddress}`],
    ["an SMTP parameter", { to: "<a@b.example> NOTIFY=NEVER" }, `to ${oneAddress}`],
    ["a host that would be completed to another", { to: "a@1.2.3" }, `to ${oneAddress}`],
    ["a host label of 64", { to: `a@${"x".repeat(64)}.example` }, `to ${oneAddress}`],
    ["a host that is too long for DNS", { to: `a@${"中.".repeat(120)}com` }, `to ${dnsName}`],
    ["a host label that is too long for DNS", { to: `a@${"中文字".repeat(20)}.com` }, `to ${dnsName}`],
    ["an invisible character", { to: "a\u200bb@c.example" }, `to ${oneAddress}`],
    ["a long address", { to: `${"a".repeat(400)}@b.example` }, "to must be at most 320 characters, got 410"],
    ["a header in a recipient", { to: "a@b.example\r\nBcc: c@d.example" }, `to ${noControl}`],
    ["a header in a name", { to: ["J\nBcc: c@d.example <a@b.example>"] }, `to[0] ${noControl}`],
    ["a header in replyTo", { to: "a@b.example", replyTo: "c@d.example\rX: y" }, `replyTo ${noControl}`],
    ["a header in the subject", { to: "a@b.example", subject: "Hi\r\nBcc: c@d.example" }, `subject ${noControl}`],
    ["a tab in the subject", { to: "a@b.example", subject: "a\tb" }, `subject ${noControl}`],
    [
      "a long subject",
      { to: "a@b.example", subject: "x".repeat(999) },
      "subject must be at most 998 characters, got 999",
    ],
    ["a file for a text", { to: "a@b.example", text: { path: "/etc/passwd" } }, "text must be text"],
    ["a URL for html", { to: "a@b.example", html: { href: "http://169.254.169.254/" } }, "html must be text"],
    [
      "several bad fields",
      { to: "x", cc: ["y"], subject: 1 },
      `to ${oneAddress}; cc[0] ${oneAddress}; subject must be text`,
    ],
  ])("is refused with %s", async (_, input, message) => {
    const send = await mail.sender(null);
    const failure = await failureOf(attemptOf(send, input, contextOf()));
    expect(failure).toMatchObject({ permanent: true, code: "invalid_input", message });
    expect(await readdir(mail.dataDir)).toEqual([]);
  });

  it.each([
    ["test@localhost", "test@localhost"],
    ["Jane Doe <jane.doe+tag@mail.example.com>", "jane.doe+tag@mail.example.com"],
    ['"Doe, Jane" <jane@example.com>', "jane@example.com"],
    ["jane@example.com <jane@example.com>", "jane@example.com"],
    [" <jane@example.com> ", "jane@example.com"],
    ["用户@例子.中国", "用户@例子.中国"],
    ["jane@例子.中国", "jane@xn--fsqu00a.xn--fiqs8s"],
  ])("accepts %s", async (to, accepted) => {
    const send = await mail.sender(null);
    expect(await attemptOf(send, { to }, contextOf())).toMatchObject({ accepted: [accepted] });
  });

  it("accepts 50 addresses in each field", async () => {
    const send = await mail.sender(null);
    const fields = { to: many(50), cc: many(50).map((one) => `c${one}`), bcc: many(50).map((one) => `b${one}`) };
    const { accepted } = (await attemptOf(send, fields, contextOf())) as { accepted: string[] };
    expect(accepted).toHaveLength(150);
  });
});

describe("an address", () => {
  const textOf = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 8 });
  const address = fc
    .tuple(textOf("abzAZ09.-+_!#$%&'*/=?^`{|}~é漢😀\u0301"), textOf("abzAZ09.-éßΣςİı漢字例ａ１\u0301\u200d。"))
    .map(([local, domain]) => `${local}@${domain}`);

  // Who is accepted and who is not is known by these names: another spelling would be sent the mail again.
  it("is given to the mail server as it is named in the output, and once", () => {
    let accepted = 0;
    const check = fc.property(address, (to) => {
      const parsed = attemptToParse({ to });
      if (parsed === null) return;
      accepted += 1;
      const recipients = recipientsOf(parsed);
      const envelope = new MimeNode("text/plain").setEnvelope({ to: recipients }).getEnvelope();
      expect(envelope.to).toEqual(recipients);
      expect(attemptToParse({ to: recipients })).not.toBeNull();
      expect(recipientsOf(attemptToParse({ to: recipients })!)).toEqual(recipients);
    });
    fc.assert(check, { numRuns: 3_000 });
    expect(accepted).toBeGreaterThan(300);
  });

  function attemptToParse(input: JsonObject): ReturnType<typeof parseEmail> | null {
    try {
      return parseEmail(input);
    } catch {
      return null;
    }
  }
});

describe("a mail's header lines", () => {
  const hundredFifty = (local: string) => ({
    to: Array.from({ length: 50 }, (_, n) => `${local}${n}@example.com`),
    cc: Array.from({ length: 50 }, (_, n) => `Name ${n} <c${local}${n}@example.com>`),
    bcc: Array.from({ length: 50 }, (_, n) => `b${local}${n}@example.com`),
  });

  it.each<[string, JsonObject]>([
    ["a subject of one word", { subject: "x".repeat(998) }],
    ["a subject of one word in another script", { subject: "漢".repeat(998) }],
    ["a subject of emoji", { subject: "😀".repeat(499) }],
    ["a subject that looks encoded", { subject: `=?UTF-8?B?${"QUJD".repeat(240)}?=` }],
    ["a subject that begins encoded", { subject: `=?${"x".repeat(996)}` }],
    ["a subject of spaces", { subject: `a${" ".repeat(996)}b` }],
    ["a subject of quotes", { subject: '"'.repeat(998) }],
    ["many recipients", hundredFifty("a".repeat(50))],
    ["many recipients in another script", hundredFifty("漢".repeat(50))],
    ["a name of one word", { to: `${"x".repeat(300)} <a@example.com>` }],
    ["a name in another script", { to: `${"漢".repeat(300)} <a@example.com>` }],
    ["a name of quotes", { to: `"${'\\"'.repeat(150)}" <a@example.com>` }],
    ["a name of spaces", { to: `a${" ".repeat(290)}b <a@example.com>` }],
    ["a long address in another script", { replyTo: `${"漢".repeat(64)}@${"漢字漢字.".repeat(16)}example` }],
    ["an address of many short labels", { replyTo: `a@${"中.".repeat(30)}com` }],
  ])("hold at most 998 octets, and never spaces alone, with %s", async (_, input) => {
    await attemptOf(await mail.sender(await mail.server()), { to: "jane@example.com", ...input }, contextOf());
    const context = contextOf();
    await attemptOf(await mail.sender(null), { to: "jane@example.com", ...input }, context);
    const written = await readFile(join(mail.dataDir, "outbox", `${context.workId}.eml`), "utf8");
    for (const message of [mail.received[0]!.message, written]) {
      const lines = message.slice(0, message.indexOf("\r\n\r\n")).split("\r\n");
      expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBeLessThanOrEqual(998);
      expect(lines.filter((line) => line.trim() === "")).toEqual([]);
    }
  });

  it("keep a subject of one word as it is", async () => {
    const subject = `${"x".repeat(990)} ü "y"`;
    await attemptOf(await mail.sender(await mail.server()), { to: "jane@example.com", subject }, contextOf());
    const parsed = headerOf(mail.received[0]!.message, "Subject") ?? "";
    const words = [...parsed.matchAll(/=\?UTF-8\?Q\?(.*?)\?=/g)].map(([, word = ""]) => word.replaceAll("_", " "));
    const octets = words
      .join("")
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    expect(Buffer.from(octets, "latin1").toString()).toBe(subject);
  });
});
