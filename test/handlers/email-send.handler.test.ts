import { useMailRig, bodyOf, headerOf, type Received } from "./email-rig.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

const MAIL = { to: "jane@example.com", subject: "Hello", text: "Hi Jane" };

const mail = useMailRig();

describe("EMAIL_SEND over SMTP", () => {
  it("sends the mail and answers its Message-ID and who accepted it", async () => {
    const send = await mail.sender(await mail.server());
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
    const [{ recipients, message }] = mail.received as [Received];
    expect(recipients).toEqual(["jane@example.com", "joe@example.com"]);
    expect(headerOf(message, "Message-ID")).toBe(`<${context.workId}@atlas-jobs.local>`);
    expect(headerOf(message, "From")).toBe("Atlas Jobs <jobs@localhost>");
    expect(headerOf(message, "Subject")).toBe("=?UTF-8?B?R3LDtsOfZSDinJM=?=");
  });

  it("sends a mail without subject and text", async () => {
    const send = await mail.sender(await mail.server());
    await attemptOf(send, { to: "test@example.com" }, contextOf());
    const [{ message }] = mail.received as [Received];
    expect(headerOf(message, "To")).toBe("test@example.com");
    expect(headerOf(message, "Cc")).toBeUndefined();
    expect(headerOf(message, "Reply-To")).toBeUndefined();
    expect(bodyOf(message).trim()).toBe("");
  });

  it("takes body as another name of text, and text over body", async () => {
    const send = await mail.sender(await mail.server());
    await attemptOf(send, { to: "a@example.com", body: "the body" }, contextOf());
    await attemptOf(send, { to: "a@example.com", body: "the body", text: "the text" }, contextOf());
    expect(mail.received.map(({ message }) => bodyOf(message).trim())).toEqual(["the body", "the text"]);
  });

  it("sends html beside the text", async () => {
    const send = await mail.sender(await mail.server());
    await attemptOf(send, { ...MAIL, html: "<b>Hi</b>" }, contextOf());
    const [{ message }] = mail.received as [Received];
    expect(headerOf(message, "Content-Type")).toMatch(/^multipart\/alternative/);
    expect(message).toContain("<b>Hi</b>");
    expect(message).toContain("Hi Jane");
  });

  it("sends to cc and bcc, and shows nobody the bcc", async () => {
    const send = await mail.sender(await mail.server());
    const input = { ...MAIL, cc: ["c@example.com"], bcc: "secret@example.com", replyTo: "Desk <desk@example.com>" };
    await attemptOf(send, input, contextOf());
    const [{ recipients, message }] = mail.received as [Received];
    expect(recipients).toEqual(["jane@example.com", "c@example.com", "secret@example.com"]);
    expect(headerOf(message, "Reply-To")).toBe("Desk <desk@example.com>");
    expect(message).not.toMatch(/secret|^bcc/im);
  });

  it("takes null for an absent field and ignores fields it does not know", async () => {
    const send = await mail.sender(await mail.server());
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
    const [{ message }] = mail.received as [Received];
    expect(bodyOf(message).trim()).toBe("Hi Jane");
    expect(message).not.toContain("root:");
  });

  it("gives a repeated send the same Message-ID and another step another one", async () => {
    const send = await mail.sender(await mail.server());
    const context = contextOf();
    const first = await attemptOf(send, MAIL, context);
    expect(await attemptOf(send, MAIL, context)).toEqual(first);
    expect(await attemptOf(send, MAIL, { ...context, workId: `${context.workId}.2` })).toMatchObject({
      messageId: `<${context.jobId}.2@atlas-jobs.local>`,
    });
  });

  it("rejects with the signal's reason while the server is silent, and sends the next mail", async () => {
    const asked = Promise.withResolvers<void>();
    let silent = true;
    const send = await mail.sender(
      await mail.server({
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
    const send = await mail.sender(await mail.server());
    const reason = new Error("canceled");
    expect(await failureOf(attemptOf(send, MAIL, contextOf({ signal: AbortSignal.abort(reason) })))).toBe(reason);
    expect(mail.received).toEqual([]);
  });

  it("reuses a connection for many mails", async () => {
    let connections = 0;
    const send = await mail.sender(
      await mail.server({
        onConnect: (_, done) => {
          connections += 1;
          done();
        },
      }),
    );
    for (let sent = 0; sent < 5; sent += 1) await attemptOf(send, MAIL, contextOf());
    expect(mail.received).toHaveLength(5);
    expect(connections).toBe(1);
  });
});
