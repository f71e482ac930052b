import { refuse, replyOf } from "./email-rig.js";
import { contextOf } from "./handler-context.js";
import { failureAt, mail, MAIL, refusing, SESSION } from "./email-failure-rig.js";

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
