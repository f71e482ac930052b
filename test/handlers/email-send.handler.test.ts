import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { createHandlers } from "../../src/handlers/create-handlers.js";
import type { Handler, JsonObject } from "../../src/handlers/handler.js";
import { createLogger } from "../../src/log.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

interface Received {
  recipients: string[];
  message: string;
}

const MAIL = { to: "jane@example.com", subject: "Hello", text: "Hi Jane" };

let dataDir: string;
let received: Received[];
let cleanups: (() => unknown)[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "atlas-email-"));
  received = [];
  cleanups = [() => rm(dataDir, { recursive: true })];
});

afterEach(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

describe("EMAIL_SEND over SMTP", () => {
  it("sends the mail and answers its Message-ID and who accepted it", async () => {
    const send = await sender(await mailServer());
    const context = contextOf();
    const output = await attemptOf(
      send,
      { to: ["Jané <jane@example.com>", "joe@example.com"], subject: "Größe ✓" },
      context,
    );
    expect(output).toEqual({
      messageId: `<${context.workId}@atlas-jobs.local>`,
      accepted: ["jane@example.com", "joe@example.com"],
      rejected: [],
    });
    const [{ recipients, message }] = received as [Received];
    expect(recipients).toEqual(["jane@example.com", "joe@example.com"]);
    expect(headerOf(message, "Message-ID")).toBe(`<${context.workId}@atlas-jobs.local>`);
    expect(headerOf(message, "From")).toBe("Atlas Jobs <jobs@localhost>");
    expect(headerOf(message, "Subject")).toBe("=?UTF-8?B?R3LDtsOfZSDinJM=?=");
  });

  it("sends a mail without subject and text", async () => {
    const send = await sender(await mailServer());
    await attemptOf(send, { to: "test@example.com" }, contextOf());
    const [{ message }] = received as [Received];
    expect(headerOf(message, "To")).toBe("test@example.com");
    expect(headerOf(message, "Cc")).toBeUndefined();
    expect(headerOf(message, "Reply-To")).toBeUndefined();
    expect(bodyOf(message).trim()).toBe("");
  });

  it("takes body as another name of text, and text over body", async () => {
    const send = await sender(await mailServer());
    await attemptOf(send, { to: "a@example.com", body: "the body" }, contextOf());
    await attemptOf(send, { to: "a@example.com", body: "the body", text: "the text" }, contextOf());
    expect(received.map(({ message }) => bodyOf(message).trim())).toEqual(["the body", "the text"]);
  });

  it("sends html beside the text", async () => {
    const send = await sender(await mailServer());
    await attemptOf(send, { ...MAIL, html: "<b>Hi</b>" }, contextOf());
    const [{ message }] = received as [Received];
    expect(headerOf(message, "Content-Type")).toMatch(/^multipart\/alternative/);
    expect(message).toContain("<b>Hi</b>");
    expect(message).toContain("Hi Jane");
  });

  it("sends to cc and bcc, and shows nobody the bcc", async () => {
    const send = await sender(await mailServer());
    const input = { ...MAIL, cc: ["c@example.com"], bcc: "secret@example.com", replyTo: "Desk <desk@example.com>" };
    await attemptOf(send, input, contextOf());
    const [{ recipients, message }] = received as [Received];
    expect(recipients).toEqual(["jane@example.com", "c@example.com", "secret@example.com"]);
    expect(headerOf(message, "Reply-To")).toBe("Desk <desk@example.com>");
    expect(message).not.toMatch(/secret|^bcc/im);
  });

  it("takes null for an absent field and ignores fields it does not know", async () => {
    const send = await sender(await mailServer());
    const input = {
      ...MAIL,
      cc: null,
      bcc: null,
      replyTo: null,
      html: null,
      body: null,
      template: 7,
      attachments: [{ path: "/etc/passwd" }],
    };
    await attemptOf(send, input, contextOf());
    const [{ message }] = received as [Received];
    expect(bodyOf(message).trim()).toBe("Hi Jane");
    expect(message).not.toContain("root:");
  });

  it("gives a repeated send the same Message-ID and another step another one", async () => {
    const send = await sender(await mailServer());
    const context = contextOf();
    const first = await attemptOf(send, MAIL, context);
    expect(await attemptOf(send, MAIL, context)).toEqual(first);
    expect(await attemptOf(send, MAIL, { ...context, workId: `${context.workId}.2` })).toMatchObject({
      messageId: `<${context.jobId}.2@atlas-jobs.local>`,
    });
  });

  it("completes when some recipients are accepted", async () => {
    const send = await sender(
      await mailServer({ onRcptTo: refuse({ "no@example.com": 550, "later@example.com": 451 }) }),
    );
    const output = await attemptOf(send, { ...MAIL, cc: ["no@example.com", "later@example.com"] }, contextOf());
    expect(output).toMatchObject({ accepted: ["jane@example.com"], rejected: ["no@example.com", "later@example.com"] });
    expect(received).toHaveLength(1);
  });

  it("fails at once when every recipient is refused for good", async () => {
    const send = await sender(
      await mailServer({ onRcptTo: refuse({ "jane@example.com": 550, "no@example.com": 553 }) }),
    );
    const failure = await failureOf(attemptOf(send, { ...MAIL, cc: "no@example.com" }, contextOf()));
    expect(failure).toMatchObject({ permanent: true, code: "email_refused" });
    expect(failure.message).toContain("553 refused");
    expect(received).toEqual([]);
  });

  it.each([
    ["every recipient is put off", { "jane@example.com": 450, "later@example.com": 451 }],
    ["nobody is accepted and the first is put off", { "jane@example.com": 450, "later@example.com": 550 }],
    ["nobody is accepted and the last is put off", { "jane@example.com": 550, "later@example.com": 450 }],
  ])("retries when %s", async (_, codes) => {
    const send = await sender(await mailServer({ onRcptTo: refuse(codes) }));
    const failure = await failureOf(attemptOf(send, { ...MAIL, cc: "later@example.com" }, contextOf()));
    expect(failure.permanent).toBeUndefined();
    expect(failure.message).toContain("450 refused");
  });

  it.each([
    [554, true],
    [503, true],
    [421, undefined],
    [452, undefined],
  ])("reads %i after the message as permanent: %s", async (responseCode, permanent) => {
    const send = await sender(
      await mailServer({
        onData: (stream, _, done) =>
          void text(stream).then(() => done(Object.assign(new Error("refused"), { responseCode }))),
      }),
    );
    expect((await failureOf(attemptOf(send, MAIL, contextOf()))).permanent).toBe(permanent);
  });

  it("reads 5xx for the sender, the greeting and the login as permanent", async () => {
    const refusing = { onMailFrom: (_: unknown, __: unknown, done: Done) => done(replyOf(550)) };
    expect((await failureOf(attemptOf(await sender(await mailServer(refusing)), MAIL, contextOf()))).permanent).toBe(
      true,
    );

    const greeting = { onConnect: (_: unknown, done: Done) => done(replyOf(554)) };
    expect((await failureOf(attemptOf(await sender(await mailServer(greeting)), MAIL, contextOf()))).permanent).toBe(
      true,
    );

    const login = await mailServer({
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      onAuth: (_, __, done) => done(replyOf(535)),
    });
    const failure = await failureOf(attemptOf(await sender(login.replace("//", "//user:pass@")), MAIL, contextOf()));
    expect(failure.permanent).toBe(true);
  });

  it("retries when the server is away, and tells nothing of where it was", async () => {
    const send = await sender(`smtp://127.0.0.1:${await freePort()}`);
    const failure = await failureOf(attemptOf(send, MAIL, contextOf()));
    expect(failure.permanent).toBeUndefined();
    expect(failure.message).toBe("The mail server could not take the mail (ECONNREFUSED)");
  });

  it.each(["EHLO", "MAIL", "RCPT", "DATA"])("retries when the connection is lost at %s", async (verb) => {
    const { url } = await serverLostAt(verb);
    const failure = await failureOf(attemptOf(await sender(url), MAIL, contextOf()));
    expect(failure.permanent).toBeUndefined();
    expect(failure.message).toContain("could not take the mail");
  });

  it("sends a mail once an attempt, though the connection is lost before it is acknowledged", async () => {
    const server = await serverLostAt("the end of the mail");
    const failure = await failureOf(attemptOf(await sender(server.url), MAIL, contextOf()));
    expect(failure.permanent).toBeUndefined();
    expect(server.mails()).toBe(1);
  });

  it("rejects with the signal's reason while the server is silent, and sends the next mail", async () => {
    const asked = Promise.withResolvers<void>();
    let silent = true;
    const send = await sender(
      await mailServer({
        onRcptTo: (_, __, done) => {
          if (!silent) return done();
          asked.resolve();
        },
      }),
    );
    const abort = new AbortController();
    const sending = failureOf(attemptOf(send, MAIL, contextOf({ signal: abort.signal })));
    await asked.promise;
    const reason = new Error("canceled");
    abort.abort(reason);
    expect(await sending).toBe(reason);

    silent = false;
    expect(await attemptOf(send, MAIL, contextOf())).toMatchObject({ accepted: ["jane@example.com"] });
  });

  it("sends nothing when the signal has fired before", async () => {
    const send = await sender(await mailServer());
    const reason = new Error("canceled");
    expect(await failureOf(attemptOf(send, MAIL, contextOf({ signal: AbortSignal.abort(reason) })))).toBe(reason);
    expect(received).toEqual([]);
  });

  it("reuses a connection for many mails", async () => {
    let connections = 0;
    const send = await sender(
      await mailServer({
        onConnect: (_, done) => {
          connections += 1;
          done();
        },
      }),
    );
    for (let sent = 0; sent < 5; sent += 1) await attemptOf(send, MAIL, contextOf());
    expect(received).toHaveLength(5);
    expect(connections).toBe(1);
  });
});

describe("EMAIL_SEND's input", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `user${index}@example.com`);
  const oneAddress = "must be one address, name@host or Name <name@host>";
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
    const send = await sender(null);
    const failure = await failureOf(attemptOf(send, input, contextOf()));
    expect(failure).toMatchObject({ permanent: true, code: "invalid_input", message });
    expect(await readdir(dataDir)).toEqual([]);
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
    const send = await sender(null);
    expect(await attemptOf(send, { to }, contextOf())).toMatchObject({ accepted: [accepted] });
  });

  it("accepts 50 addresses in each field", async () => {
    const send = await sender(null);
    const fields = { to: many(50), cc: many(50).map((one) => `c${one}`), bcc: many(50).map((one) => `b${one}`) };
    const { accepted } = (await attemptOf(send, fields, contextOf())) as { accepted: string[] };
    expect(accepted).toHaveLength(150);
  });
});

describe("EMAIL_SEND without a mail server", () => {
  it("writes the mail into the outbox, named after its work", async () => {
    const send = await sender(null);
    const context = contextOf();
    const output = await attemptOf(send, { ...MAIL, bcc: "secret@example.com" }, context);
    expect(output).toEqual({
      messageId: `<${context.workId}@atlas-jobs.local>`,
      accepted: ["jane@example.com", "secret@example.com"],
      rejected: [],
    });
    expect(await readdir(join(dataDir, "outbox"))).toEqual([`${context.workId}.eml`]);
    const message = await readFile(join(dataDir, "outbox", `${context.workId}.eml`), "utf8");
    expect(headerOf(message, "Message-ID")).toBe(`<${context.workId}@atlas-jobs.local>`);
    expect(headerOf(message, "Subject")).toBe("Hello");
    expect(bodyOf(message).trim()).toBe("Hi Jane");
  });

  it("replaces the file when a mail is sent again", async () => {
    const send = await sender(null);
    const context = contextOf();
    await attemptOf(send, { ...MAIL, text: "first" }, context);
    await attemptOf(send, { ...MAIL, text: "second" }, context);
    expect(await readdir(join(dataDir, "outbox"))).toEqual([`${context.workId}.eml`]);
    expect(await readFile(join(dataDir, "outbox", `${context.workId}.eml`), "utf8")).toContain("second");
  });

  it("leaves one whole file when two attempts write at the same time", async () => {
    const send = await sender(null);
    const context = contextOf();
    const input = { ...MAIL, text: "x".repeat(200_000) };
    await Promise.all([attemptOf(send, input, context), attemptOf(send, input, context)]);
    expect(await readdir(join(dataDir, "outbox"))).toEqual([`${context.workId}.eml`]);
  });

  it("writes nothing when the signal has fired", async () => {
    const send = await sender(null);
    const reason = new Error("canceled");
    expect(await failureOf(attemptOf(send, MAIL, contextOf({ signal: AbortSignal.abort(reason) })))).toBe(reason);
    expect(await readdir(dataDir)).toEqual([]);
  });
});

type Done = (error?: Error | null) => void;

/** Starts a mail server that keeps what it receives. @returns its URL. */
async function mailServer(options: SMTPServerOptions = {}): Promise<string> {
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS", "AUTH"],
    disableReverseLookup: true,
    closeTimeout: 1,
    onData: (stream, { envelope }, done) =>
      void text(stream).then((message) => {
        received.push({ recipients: envelope.rcptTo.map(({ address }) => address), message });
        done();
      }),
    ...options,
  });
  server.on("error", () => {});
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  cleanups.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

/** Starts a mail server that takes every command before `verb`, and there destroys the connection. */
async function serverLostAt(verb: string): Promise<{ url: string; mails: () => number }> {
  let mails = 0;
  const server = createServer((socket) => {
    let inMail = false;
    socket.on("error", () => {});
    socket.write("220 ready\r\n");
    socket.on("data", (chunk) => {
      const command = chunk.toString();
      if (command.startsWith(verb)) return socket.destroy();
      if (inMail && command.endsWith("\r\n.\r\n")) {
        mails += 1;
        return socket.destroy();
      }
      inMail ||= command.startsWith("DATA");
      return inMail && !command.startsWith("DATA") ? null : socket.write(inMail ? "354 go on\r\n" : "250 fine\r\n");
    });
  });
  return { url: `smtp://127.0.0.1:${await portOf(server)}`, mails: () => mails };
}

function refuse(codes: Record<string, number>): NonNullable<SMTPServerOptions["onRcptTo"]> {
  return ({ address }, _, done) => done(codes[address] === undefined ? null : replyOf(codes[address]));
}

function replyOf(responseCode: number): Error {
  return Object.assign(new Error("refused"), { responseCode });
}

async function sender(smtpUrl: string | null): Promise<Handler> {
  const config = { smtpUrl, emailFrom: "Atlas Jobs <jobs@localhost>", dataDir, handlersDir: null, production: false };
  const { handlers, close } = await createHandlers(config, createLogger("silent"));
  cleanups.push(close);
  return handlers.get("EMAIL_SEND")!.handler;
}

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function headerOf(message: string, name: string): string | undefined {
  const [head = ""] = message.split("\r\n\r\n");
  const unfolded = head.replaceAll(/\r\n[ \t]/g, " ");
  return new RegExp(`^${name}: (.*)$`, "im").exec(unfolded)?.[1];
}

function bodyOf(message: string): string {
  return message.slice(message.indexOf("\r\n\r\n"));
}
