import type { SMTPServerOptions } from "smtp-server";
import { text } from "node:stream/consumers";
import type { Json } from "../../src/handlers/handler.js";
import { headerOf, refuse, replyOf } from "./email-rig.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";
import { failureAt, mail, MAIL, SESSION } from "./email-failure-rig.js";

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
