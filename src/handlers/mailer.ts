import type { EmailMessage } from "./email-message.js";

/** A mail ready to go. */
interface Mail extends EmailMessage {
  /** An address, or a name and an address. */
  from: string;
  /** With its angle brackets; the same each time this mail is sent. */
  messageId: string;
  /** Names this mail, the same each time it is sent. */
  workId: string;
}

/** The addresses that a mail server took the mail for, and those that it refused. */
interface Delivery {
  accepted: string[];
  rejected: string[];
}

/** Where mails are handed over. */
export interface Mailer {
  /**
   * Hands a mail over for at least one of its recipients.
   * @throws {PermanentError} `email_refused` when nobody can be reached and trying again cannot change it.
   * @throws the signal's reason, soon after it fires. The mail may have been taken by then.
   */
  deliver(mail: Mail, signal: AbortSignal): Promise<Delivery>;
  close(): void;
}
