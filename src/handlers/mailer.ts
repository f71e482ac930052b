import type { EmailMessage } from "./email-message.js";

/** A mail ready to go. */
export interface Mail extends EmailMessage {
  /** An address, or a name and an address. */
  from: string;
  /** With its angle brackets; the same each time this mail is sent. */
  messageId: string;
  /** Names this mail, the same each time it is sent. */
  workId: string;
}

/** A recipient whom a mail server has not taken the mail for, and why, in its words. */
export interface Refusal {
  recipient: string;
  reason: string;
}

/** What a mail server said of some recipients; of others it may still be asked. */
export interface Delivery {
  /** It has taken the mail for them: they must not be sent it again. */
  accepted: string[];
  /** For good. */
  refused: Refusal[];
  /** It may take the mail for them later. */
  deferred: Refusal[];
}

/** Where mails are handed over. */
export interface Mailer {
  /**
   * Hands a mail over for some of its recipients, in one transaction or several. A delivery is told of as soon as it is
   * known; the deliveries together name each recipient once.
   * @throws {MailServerError} when the server takes no mail at present, whoever it is for. A recipient who was not told of
   * by then has not been taken, but for one case: where the connection is lost after the whole mail was sent and before it
   * was answered, nobody knows.
   * @throws the signal's reason, soon after it fires. The mail may have been taken by then.
   */
  deliver(mail: Mail, recipients: readonly string[], signal: AbortSignal): AsyncIterable<Delivery>;
  /**
   * Whether addresses whose local part is not ASCII can be used (RFC 6531).
   * @throws {MailServerError} as above.
   */
  supportsSmtpUtf8(): Promise<boolean>;
  /** Ends the connections, those at work once their mail is sent. */
  close(): void;
}

/**
 * The session with the mail server fails, or it refuses this service or its sender: no mail is at fault. The cause has the
 * server's words, which are the operator's to read.
 */
export class MailServerError extends Error {
  override readonly name = "MailServerError";
}
