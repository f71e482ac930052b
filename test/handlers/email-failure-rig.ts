import type { SMTPServerOptions } from "smtp-server";
import { text } from "node:stream/consumers";
import type { Json } from "../../src/handlers/handler.js";
import { useMailRig, replyOf } from "./email-rig.js";
import { attemptOf, contextOf, failureOf } from "./handler-context.js";

export const MAIL = { to: "jane@example.com", subject: "Hello", text: "Hi Jane" };
/** How an attempt fails that the session ended, whatever the server said. */
export const SESSION = {
  name: "RetryError",
  code: "mail_server_unavailable",
  message: "The mail server could not take the mail",
};

export const mail = useMailRig();

/** A server that answers the sender, the recipients or the whole mail with a reply. */
export function refusing(what: "onMailFrom" | "onRcptTo" | "onData", reply: number | string): SMTPServerOptions {
  if (what !== "onData")
    return { [what]: (_: unknown, __: unknown, done: (error: Error) => void) => done(replyOf(reply)) };
  return { onData: (stream, _, done) => void text(stream).then(() => done(replyOf(reply))) };
}

/** What an attempt at a mail fails with. */
export async function failureAt(url: string, input: Record<string, Json> = MAIL, context = contextOf()) {
  return failureOf(attemptOf(await mail.sender(url), input, context));
}
