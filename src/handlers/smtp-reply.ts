import type { NodemailerError } from "nodemailer";

/** What a refusal is about: the session and its sender, or this mail and recipient, for now or for good. */
export type Verdict = "session" | "deferred" | "refused";

// Closing, bad sequence, and all about encryption and login (RFC 4954, RFC 3207): the session's at any command.
const SESSION_CODES = [421, 454, 503, 530, 534, 535, 538];
// Commands and parameters that the server does not know or take (RFC 5321 4.2.2, 4.1.1.11).
const PROTOCOL_CODES = [500, 502, 504, 555];
/** Enhanced codes (RFC 3463, RFC 7372, RFC 7505, by IANA) of the sender's address. */
const OF_SENDER = /^\.1\.(?:7|8)$/;
/** Of the mail system, the protocol and policy; but not "message too big". */
const OF_SESSION = /^\.(?:3\.(?!4$)|5\.|7\.)/;
/** Policy on what the mail holds, or on whom it is for: refused, the mail is to blame. */
const OF_CONTENT = /^\.7\.(?:0|1|2|13|17|18|19)$/;

/**
 * What a refused RCPT is about. Servers often wait until then with what they have against the client or the sender, as
 * Postfix does by default: so policy and protocol count as the recipient's own only where others are accepted.
 */
export function judgeRecipient(error: NodemailerError, othersAccepted: boolean): Verdict {
  const { code, subject } = replyOf(error);
  if (code === null) return "session";
  if (othersAccepted) return isOfSender(code, subject) ? "session" : byDigit(code);
  return isOfSender(code, subject) || isOfSession(code, subject) ? "session" : byDigit(code);
}

/** What an error is about that has ended a whole transaction: only what answers the mail itself can be the mail's. */
export function judgeTransaction(error: NodemailerError): Verdict {
  const { code, subject } = replyOf(error);
  if (code === null || error.command !== "DATA" || isOfSender(code, subject)) return "session";
  return isOfSession(code, subject) && !OF_CONTENT.test(subject) ? "session" : byDigit(code);
}

/** Whether there are too many recipients, or too much for one mailbox: in another transaction it may be otherwise. */
export function isOfOneTransaction(error: NodemailerError): boolean {
  const { code, subject } = replyOf(error);
  // RFC 5321 4.5.3.1.10: 552 is what older servers say for 452.
  return code === 452 || (code === 552 && !subject.startsWith(".2."));
}

/** Whether a refusal of the whole mail may come from one of its recipients' mailboxes. */
export function isOfOneMailbox(error: NodemailerError): boolean {
  const { code, subject } = replyOf(error);
  if (code === null) return false;
  return code >= 500 || (subject === "" ? code === 452 : subject.startsWith(".2."));
}

function isOfSender(code: number, subject: string): boolean {
  return SESSION_CODES.includes(code) || OF_SENDER.test(subject);
}

/** A passing policy is mostly greylisting, and a passing fault of the system needs nobody's hands. */
function isOfSession(code: number, subject: string): boolean {
  return code >= 500 && (PROTOCOL_CODES.includes(code) || OF_SESSION.test(subject));
}

function byDigit(code: number): Verdict {
  return code >= 500 ? "refused" : "deferred";
}

/** The reply's code, null without one, and `.subject.detail` of its enhanced code, empty without one. */
function replyOf({ responseCode, response }: NodemailerError): { code: number | null; subject: string } {
  const [, subject = ""] = /^\d{3}[ -]\d(\.\d{1,3}\.\d{1,3})(?!\S)/.exec(response ?? "") ?? [];
  const isFailure = responseCode !== undefined && responseCode >= 400 && responseCode < 600;
  return { code: isFailure ? responseCode : null, subject };
}
