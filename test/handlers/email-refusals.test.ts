import type { SMTPServerOptions } from "smtp-server";
import { text } from "node:stream/consumers";
import type { Json } from "../../src/handlers/handler.js";
import { useMailRig, headerOf, refuse, replyOf } from "./email-rig.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const MAIL = { to: "jane@example.com", subject: "Hello", text: "Hi Jane" };
const SESSION = {
  name: "RetryError",
  code: "mail_server_unavailable",
  message: "The mail server could not take the mail",
};

const mail = useMailRig();

/** A server that answers the sender, the recipients or the whole mail with a reply. */
function refusing(what: "onMailFrom" | "onRcptTo" | "onData", reply: number | string): SMTPServerOptions {
  if (what !== "onData")
    return { [what]: (_: unknown, __: unknown, done: (error: Error) => void) => done(replyOf(reply)) };
  return { onData: (stream, _, done) => void text(stream).then(() => done(replyOf(reply))) };
}

/** What an attempt at a mail fails with. */
async function failureAt(url: string, input: Record<string, Json> = MAIL, context = contextOf()) {
  return failureOf(attemptOf(await mail.sender(url), input, context));
}

describe("what concerns the session", () => {
  it.each(["421 busy", "554 5.7.1 your address is blocked", "220", "500 what"])(
    "does not fail the mail, and tells its tenant nothing: a greeting of %s",
    async (greeting) => {
      expect(
        await failureAt(
          await mail.script((line) => (line === "CONNECT" ? (greeting === "220" ? null : greeting) : undefined)),
        ),
      ).toMatchObject(SESSION);
    },
  );

  it.each([535, 534, 454, 530, 538])("does not fail the mail: a login refused with %i", async (code) => {
    const options = { disabledCommands: ["STARTTLS"], allowInsecureAuth: true };
    const url = await mail.server({ ...options, onAuth: (_, __, done) => done(replyOf(code)) });
    expect(await failureAt(url.replace("//", "//user:pass@"))).toMatchObject(SESSION);
  });

  it("does not fail the mail: encryption that is refused", async () => {
    const url = await mail.script((line) => {
      if (line.startsWith("EHLO")) return "250-me\r\n250 STARTTLS";
      return line === "STARTTLS" ? "554 5.7.3 no TLS for you" : undefined;
    });
    expect(await failureAt(url)).toMatchObject(SESSION);
  });

  it("does not fail the mail: encryption that does not come about", async () => {
    expect(
      await failureAt(
        await mail.script((line) => {
          if (line.startsWith("EHLO")) return "250-me\r\n250 STARTTLS";
          return line === "STARTTLS" ? null : undefined;
        }),
      ),
    ).toMatchObject(SESSION);
  });

  it.each(["EHLO", "MAIL", "RCPT", "DATA", "."])("does not fail the mail: a connection lost at %s", async (verb) => {
    expect(await failureAt(await mail.script((line) => (line.startsWith(verb) ? null : undefined)))).toMatchObject(
      SESSION,
    );
  });

  it.each(["EHLO", "MAIL", "RCPT", "DATA", "."])("does not fail the mail: a 421 at %s", async (verb) => {
    expect(
      await failureAt(await mail.script((line) => (line.startsWith(verb) ? "421 4.3.2 closing" : undefined))),
    ).toMatchObject(SESSION);
  });

  it("does not fail the mail: a server that is away", async () => {
    expect(await failureAt(`smtp://127.0.0.1:${await mail.freePort()}`)).toMatchObject(SESSION);
  });

  it.each<["onMailFrom" | "onRcptTo" | "onData", string]>([
    ["onMailFrom", "550 not your sender"],
    ["onMailFrom", "553 5.7.1 sender address rejected: not owned by user"],
    ["onMailFrom", "552 quota"],
    ["onMailFrom", "451 4.7.1 try later"],
    // As Postfix says by default, which waits with all it has against client and sender until then.
    ["onRcptTo", "550 5.1.8 <jobs@localhost>: Sender address rejected: Domain not found"],
    ["onRcptTo", "553 5.7.1 <jobs@localhost>: Sender address rejected: not logged in"],
    ["onRcptTo", "554 5.7.1 <jane@example.com>: Relay access denied"],
    ["onRcptTo", "554 5.7.1 Service unavailable; Client host blocked"],
    ["onRcptTo", "504 5.5.2 <me>: Helo command rejected: need fully-qualified hostname"],
    ["onRcptTo", "530 5.7.0 Must issue a STARTTLS command first"],
    ["onRcptTo", "503 bad sequence of commands"],
    ["onData", "550 5.7.26 unauthenticated mail from this domain"],
    ["onData", "550 5.7.60 no permission to send as this sender"],
    ["onData", "503 5.5.1 bad sequence"],
    ["onData", "554 5.3.5 system config error"],
  ])("does not fail the mail: at %s, %s", async (what, reply) => {
    expect(await failureAt(await mail.server(refusing(what, reply)))).toMatchObject(SESSION);
  });

  it("is told to the operator at the error level, in the server's words", async () => {
    const lines: { level: string; fields: { err: { response: string; command: string } } }[] = [];
    const context = contextOf();
    Object.assign(context.log, {
      error: (fields: { err: { response: string; command: string } }) => lines.push({ level: "error", fields }),
    });
    await failureAt(await mail.server(refusing("onMailFrom", "550 not your sender")), MAIL, context);
    expect(lines).toMatchObject([
      { level: "error", fields: { err: { command: "MAIL FROM", response: "550 not your sender" } } },
    ]);
  });
});

describe("what concerns the mail", () => {
  it.each<["onRcptTo" | "onData", string]>([
    ["onRcptTo", "550 no such user"],
    ["onRcptTo", "553 5.1.3 bad address"],
    ["onRcptTo", "552 5.2.2 mailbox full"],
    ["onRcptTo", "552 mailbox full"],
    ["onRcptTo", "556 5.1.10 no mail for this domain"],
    ["onData", "554 5.7.1 looks like spam"],
    ["onData", "552 5.3.4 too big"],
    ["onData", "554 no"],
  ])("fails it at once, plainly: at %s, %s", async (what, reply) => {
    expect(await failureAt(await mail.server(refusing(what, reply)))).toMatchObject({
      permanent: true,
      code: "email_refused",
      message: `The mail was refused: jane@example.com: ${reply}`,
    });
  });

  it.each<["onRcptTo" | "onData", string]>([
    ["onRcptTo", "450 4.2.0 greylisted"],
    ["onRcptTo", "451 4.7.1 greylisted"],
    ["onRcptTo", "452 4.2.2 mailbox full"],
    ["onData", "451 4.3.0 try later"],
    ["onData", "452 4.3.1 no space"],
  ])("defers it by five minutes at least: at %s, %s", async (what, reply) => {
    const failure = await failureAt(await mail.server(refusing(what, reply)));
    expect(failure).toMatchObject({ code: "email_deferred", message: expect.stringContaining(reply) });
    expect(failure.permanent).toBeUndefined();
    expect((failure as { retryAfterMs?: number }).retryAfterMs).toBeGreaterThanOrEqual(300_000);
  });

  it("fails at once when every recipient is refused for good", async () => {
    const url = await mail.server({ onRcptTo: refuse({ "jane@example.com": 550, "no@example.com": 553 }) });
    const failure = await failureAt(url, { ...MAIL, cc: "no@example.com" });
    expect(failure).toMatchObject({ permanent: true, code: "email_refused" });
    expect(failure.message).toBe("The mail was refused: jane@example.com: 550 refused; no@example.com: 553 refused");
    expect(mail.received).toEqual([]);
  });

  it.each([
    ["every recipient is put off", { "jane@example.com": 450, "later@example.com": 451 }],
    ["nobody is accepted and the first is put off", { "jane@example.com": 450, "later@example.com": 550 }],
    ["nobody is accepted and the last is put off", { "jane@example.com": 550, "later@example.com": 450 }],
  ])("retries when %s", async (_, codes) => {
    const failure = await failureAt(await mail.server({ onRcptTo: refuse(codes) }), {
      ...MAIL,
      cc: "later@example.com",
    });
    expect(failure.permanent).toBeUndefined();
    expect(failure.message).toContain("450 refused");
  });
});

describe("several recipients", () => {
  const three = { ...MAIL, cc: ["no@example.com", "later@example.com"] };

  it("completes with those who are accepted once nobody else is left, and tells why others are not", async () => {
    const url = await mail.server({ onRcptTo: refuse({ "no@example.com": "550 5.1.1 no such user" }) });
    const output = await attemptOf(await mail.sender(url), { ...MAIL, cc: "no@example.com" }, contextOf());
    expect(output).toMatchObject({
      accepted: ["jane@example.com"],
      rejected: ["no@example.com"],
      reasons: { "no@example.com": "550 5.1.1 no such user" },
    });
  });

  it("keeps who is accepted and who is refused, and tries the deferred ones again alone", async () => {
    const replies: Record<string, number> = { "no@example.com": 550, "later@example.com": 451 };
    const send = await mail.sender(await mail.server({ onRcptTo: refuse(replies) }));
    const first = contextOf();
    const failure = await failureOf(attemptOf(send, three, first));
    expect(failure.message).toBe("The mail was deferred: later@example.com: 451 refused; accepted for 1 of 3");
    expect(first.kept).toEqual([
      { accepted: ["jane@example.com"], refused: [{ recipient: "no@example.com", reason: "550 refused" }] },
    ]);

    delete replies["later@example.com"];
    const second = contextOf({ jobId: first.jobId, checkpointed: first.kept.at(-1) ?? null });
    expect(await attemptOf(send, three, second)).toMatchObject({
      messageId: `<${first.jobId}@atlas-jobs.local>`,
      accepted: ["jane@example.com", "later@example.com"],
      rejected: ["no@example.com"],
    });
    expect(mail.received.map(({ recipients }) => recipients)).toEqual([["jane@example.com"], ["later@example.com"]]);
    const [one, other] = mail.received.map(({ message }) =>
      ["To", "Cc", "Message-ID"].map((name) => headerOf(message, name)),
    );
    expect(other).toEqual(one);
  });

  it("sends nothing when an earlier attempt was accepted for everybody", async () => {
    const send = await mail.sender(await mail.server());
    const checkpointed = { accepted: ["jane@example.com"], refused: [] };
    expect(await attemptOf(send, MAIL, contextOf({ checkpointed }))).toMatchObject({ accepted: ["jane@example.com"] });
    expect(mail.received).toEqual([]);
  });

  it.each<[string, Json]>([
    ["a text", "sent"],
    ["another handler's", { steps: [] }],
    ["a list of numbers", { accepted: [7], refused: [] }],
  ])("starts anew when the checkpoint is %s", async (_, checkpointed) => {
    const send = await mail.sender(await mail.server());
    await attemptOf(send, MAIL, contextOf({ checkpointed }));
    expect(mail.received).toHaveLength(1);
  });

  it("sends to all again when the session ends between their acceptance and the mail's", async () => {
    let lost = true;
    const seen: string[] = [];
    const url = await mail.script((line) => {
      if (line.startsWith("RCPT TO:<no@")) return "550 no";
      if (line.startsWith("RCPT")) seen.push(line.slice(9, -1));
      return lost && line.startsWith("RCPT TO:<later@") ? "421 4.3.2 closing" : undefined;
    });
    const send = await mail.sender(url);
    const first = contextOf();
    expect(await failureOf(attemptOf(send, three, first))).toMatchObject(SESSION);
    expect(first.kept).toEqual([]);
    lost = false;
    expect(await attemptOf(send, three, contextOf())).toMatchObject({
      accepted: ["jane@example.com", "later@example.com"],
      rejected: ["no@example.com"],
    });
  });

  it("completes with those accepted when the last attempt leaves others deferred or the session fails", async () => {
    const last = (checkpointed: Json) => ({ ...contextOf({ checkpointed }), attempt: 4, maxAttempts: 4 });
    const deferring = await mail.sender(await mail.server({ onRcptTo: refuse({ "later@example.com": 451 }) }));
    expect(await attemptOf(deferring, { ...MAIL, cc: "later@example.com" }, last(null))).toMatchObject({
      accepted: ["jane@example.com"],
      rejected: ["later@example.com"],
      reasons: { "later@example.com": "451 refused" },
    });
    const away = await mail.sender(`smtp://127.0.0.1:${await mail.freePort()}`);
    const checkpointed = { accepted: ["jane@example.com"], refused: [] };
    expect(await attemptOf(away, { ...MAIL, cc: "later@example.com" }, last(checkpointed))).toMatchObject({
      accepted: ["jane@example.com"],
      rejected: ["later@example.com"],
      reasons: { "later@example.com": SESSION.message },
    });
  });

  it("takes a policy for a recipient's own where another one is accepted", async () => {
    const url = await mail.server({ onRcptTo: refuse({ "no@example.com": "550 5.7.1 members only" }) });
    expect(await attemptOf(await mail.sender(url), { ...MAIL, cc: "no@example.com" }, contextOf())).toMatchObject({
      rejected: ["no@example.com"],
    });
  });

  it("sends at once to those beyond what the server takes in one transaction", async () => {
    const url = await mail.server({
      onRcptTo: (_, { envelope }, done) =>
        done(envelope.rcptTo.length >= 2 ? replyOf("452 4.5.3 too many recipients") : null),
    });
    const to = Array.from({ length: 5 }, (_, index) => `user${index}@example.com`);
    expect(await attemptOf(await mail.sender(url), { to }, contextOf())).toMatchObject({ accepted: to, rejected: [] });
    expect(mail.received.map(({ recipients }) => recipients)).toEqual([to.slice(0, 2), to.slice(2, 4), to.slice(4)]);
  });

  it("asks for each alone when the server refuses the mail to all of them", async () => {
    const send = await mail.sender(await mail.server(notTo("no@example.com", "554 5.7.1 one of you must not")));
    expect(await attemptOf(send, { ...MAIL, cc: ["no@example.com", "joe@example.com"] }, contextOf())).toMatchObject({
      accepted: ["jane@example.com", "joe@example.com"],
      reasons: { "no@example.com": "554 5.7.1 one of you must not" },
    });
    expect(mail.received.map(({ recipients }) => recipients)).toEqual([["jane@example.com"], ["joe@example.com"]]);
  });

  it("asks for each alone when the server defers the mail to all of them for one's mailbox", async () => {
    const send = await mail.sender(await mail.server(notTo("full@example.com", "452 4.2.2 one of you is full")));
    const context = contextOf();
    const failure = await failureOf(attemptOf(send, { ...MAIL, cc: ["full@example.com", "joe@example.com"] }, context));
    expect(failure.message).toContain("full@example.com: 452 4.2.2 one of you is full");
    expect(context.kept.at(-1)).toMatchObject({ accepted: ["jane@example.com", "joe@example.com"] });
  });

  /** Answers a whole mail that is also for `recipient` with a reply. */
  function notTo(recipient: string, reply: string): SMTPServerOptions {
    return {
      onData: (stream, { envelope }, done) =>
        void text(stream).then((message) => {
          const recipients = envelope.rcptTo.map(({ address }) => address);
          if (recipients.includes(recipient)) return done(replyOf(reply));
          mail.received.push({ recipients, message });
          return done();
        }),
    };
  }
});

describe("an address that needs SMTPUTF8", () => {
  const FOREIGN = "用户@例子.中国";

  it("is sent to where the server supports it", async () => {
    const send = await mail.sender(await mail.server());
    expect(await attemptOf(send, { to: FOREIGN }, contextOf())).toMatchObject({ accepted: [FOREIGN], rejected: [] });
    expect(mail.received).toHaveLength(1);
  });

  it("is refused alone where the server does not", async () => {
    const send = await mail.sender(await mail.server({ hideSMTPUTF8: true }));
    const input = { to: [FOREIGN, "jane@例子.中国"], cc: `Wang <${FOREIGN}>`, bcc: "joe@example.com" };
    expect(await attemptOf(send, input, contextOf())).toMatchObject({
      accepted: ["jane@xn--fsqu00a.xn--fiqs8s", "joe@example.com"],
      rejected: [FOREIGN],
      reasons: { [FOREIGN]: "needs SMTPUTF8, which the mail server does not support" },
    });
    const [received] = mail.received;
    expect(received?.recipients).toEqual(["jane@例子.中国", "joe@example.com"]);
    expect(received?.message).toMatch(/^\p{ASCII}*$/u);
    expect(headerOf(received?.message ?? "", "To")).toBe("jane@xn--fsqu00a.xn--fiqs8s");
  });

  it.each([
    ["the only one", { to: FOREIGN }, `The mail was refused: ${FOREIGN}: needs SMTPUTF8`],
    ["where answers go", { to: "jane@example.com", replyTo: FOREIGN }, "replyTo needs SMTPUTF8"],
  ])("fails the mail at once where the server does not and it is %s", async (_, input, message) => {
    const failure = await failureAt(await mail.server({ hideSMTPUTF8: true }), input);
    expect(failure).toMatchObject({
      permanent: true,
      code: "email_refused",
      message: expect.stringContaining(message),
    });
    expect(mail.received).toEqual([]);
  });

  it("waits for a server that is away", async () => {
    expect(await failureAt(`smtp://127.0.0.1:${await mail.freePort()}`, { to: FOREIGN })).toMatchObject(SESSION);
  });
});
