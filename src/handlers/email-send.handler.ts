import { parseEmail } from "./email-message.js";
import type { Handler } from "./handler.js";
import type { Mailer } from "./mailer.js";

/**
 * The handler of EMAIL_SEND: `{to, subject?, body? | text?, html?, cc?, bcc?, replyTo?}` → `{messageId, accepted,
 * rejected}`. It completes as soon as one recipient is accepted. A mail can be sent twice, when an attempt is cut off
 * between the mail server's acceptance and the job's completion: its Message-ID is the same then.
 * @param from the sender of each mail.
 */
export function createEmailSend(mailer: Mailer, from: string): Handler {
  return async (input, { workId, signal, log }) => {
    const messageId = `<${workId}@atlas-jobs.local>`;
    const { accepted, rejected } = await mailer.deliver({ ...parseEmail(input), from, messageId, workId }, signal);
    if (rejected.length > 0) log.warn({ accepted: accepted.length, rejected: rejected.length }, "recipients refused");
    return { messageId, accepted, rejected };
  };
}
