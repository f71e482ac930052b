import { type EmailMessage, needsSmtpUtf8, parseEmail, recipientsOf } from "./email-message.js";
import { EmailProgress } from "./email-progress.js";
import { type Handler, type HandlerContext, type Json, PermanentError, RetryError } from "./handler.js";
import { type Mailer, MailServerError } from "./mailer.js";

/**
 * What EMAIL_SEND names for its jobs, as mail servers do: over a day of attempts, 27–33 h with the jitter. The first come
 * after 1, 2 and 4 min, for a server that restarts; then each time after twice as long, and at last every 2 h.
 */
export const EMAIL_SEND_SETTINGS = { maxAttempts: 22, backoff: { firstMs: 60_000, maxMs: 7_200_000 } };

/** Servers that greylist accept a mail after 5 min at the earliest, with their default settings. */
const DEFERRED_MS = 330_000;

const NO_SMTPUTF8 = "needs SMTPUTF8, which the mail server does not support";
const SERVER_AWAY = "The mail server could not take the mail";

/**
 * The handler of EMAIL_SEND: `{to, subject?, body? | text?, html?, cc?, bcc?, replyTo?}` → `{messageId, accepted, rejected}`,
 * with `reasons`, address → words, where somebody is rejected. Recipients whom the mail server defers are tried again
 * alone. A job completes once nobody is left to try, or attempts are, if somebody is accepted.
 *
 * What the server has accepted is kept at once, so that nobody is sent a mail twice, but for one gap that SMTP leaves: an
 * attempt that is cut off, or loses its connection, between the server's acceptance and our record of it. The mail goes
 * again then, under the same Message-ID.
 * @param from the sender of each mail.
 */
export function createEmailSend(mailer: Mailer, from: string): Handler {
  return async (input, context) => {
    const { workId, signal, log } = context;
    const parsed = parseEmail(input);
    const progress = EmailProgress.resume(recipientsOf(parsed), context.checkpointed);
    const messageId = `<${workId}@atlas-jobs.local>`;
    try {
      const mail = { ...(await deliverable(parsed, mailer, progress)), from, messageId, workId };
      for await (const delivery of mailer.deliver(mail, progress.pending, signal)) {
        progress.add(delivery);
        // Also when nobody is left: an attempt may still end badly, as past its timeout.
        await context.checkpoint(progress.toJson());
      }
    } catch (error) {
      if (!(error instanceof MailServerError)) throw error;
      log.error({ err: error.cause }, "the mail server takes no mail: this one waits and is tried again");
      return outputOf(progress, messageId, context, new RetryError(SERVER_AWAY, 0, "mail_server_unavailable"));
    }
    return outputOf(progress, messageId, context, deferralOf(progress));
  };
}

/** A mail without the addresses that its server cannot use, whose recipients are refused. */
async function deliverable(message: EmailMessage, mailer: Mailer, progress: EmailProgress): Promise<EmailMessage> {
  const { to, cc, bcc, replyTo } = message;
  const isAscii = ({ address }: { address: string }) => !needsSmtpUtf8(address);
  if ([...to, ...cc, ...bcc, ...replyTo].every(isAscii) || (await mailer.supportsSmtpUtf8())) return message;
  if (!replyTo.every(isAscii)) throw new PermanentError(`replyTo ${NO_SMTPUTF8}`, "email_refused");
  for (const recipient of progress.pending.filter(needsSmtpUtf8)) progress.refuse(recipient, NO_SMTPUTF8);
  return { ...message, to: to.filter(isAscii), cc: cc.filter(isAscii), bcc: bcc.filter(isAscii) };
}

/**
 * The output of a job that has nobody left to try, or no attempt.
 * @throws `notYet` while there are both; a PermanentError when everybody is refused.
 */
function outputOf(
  { accepted, refused, deferred, pending }: EmailProgress,
  messageId: string,
  { attempt, maxAttempts, log }: HandlerContext,
  notYet: Error,
): Json {
  const isLast = attempt >= maxAttempts;
  if (pending.length > 0 && !(isLast && accepted.length > 0)) throw notYet;
  if (accepted.length === 0) throw new PermanentError(`The mail was refused: ${listed(refused)}`, "email_refused");
  const givenUp = pending.map((recipient) => [recipient, deferred.get(recipient) ?? SERVER_AWAY] as const);
  const reasons = Object.fromEntries([...refused, ...givenUp]);
  const rejected = Object.keys(reasons);
  if (rejected.length === 0) return { messageId, accepted, rejected };
  log.warn({ accepted: accepted.length, rejected: rejected.length }, "recipients refused");
  return { messageId, accepted, rejected, reasons };
}

function deferralOf({ deferred, accepted, recipients }: EmailProgress): RetryError {
  const message = `The mail was deferred: ${listed(deferred)}; accepted for ${accepted.length} of ${recipients.length}`;
  return new RetryError(message, DEFERRED_MS, "email_deferred");
}

function listed(reasons: ReadonlyMap<string, string>): string {
  return [...reasons].map(([recipient, reason]) => `${recipient}: ${reason}`).join("; ");
}
