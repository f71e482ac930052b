import { createTransport, type NodemailerError } from "nodemailer";
import { PermanentError } from "./handler.js";
import type { Mailer } from "./mailer.js";

const CONNECTION_TIMEOUT_MS = 10_000;
const GREETING_TIMEOUT_MS = 10_000;
const SOCKET_TIMEOUT_MS = 30_000;

/**
 * Sends mails to a mail server over a few pooled connections, five by default.
 * @param url `smtp://` or `smtps://`; its query sets nodemailer's own options, as in `?maxConnections=10`.
 */
export function createSmtpMailer(url: string): Mailer {
  const transport = createTransport({
    url,
    pool: true,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    dnsTimeout: CONNECTION_TIMEOUT_MS,
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async deliver(mail, signal) {
      try {
        const { accepted, rejected } = await transport.sendMail({ ...mail, signal });
        return { accepted, rejected };
      } catch (error) {
        signal.throwIfAborted();
        throw failureOf(error as NodemailerError);
      }
    },
    close() {
      transport.close();
    },
  };
}

/** What a failed delivery means for the job: permanent only if every refusal is, as nobody has got the mail yet. */
function failureOf(error: NodemailerError): Error {
  const refusals = error.rejectedErrors ?? [error];
  if (refusals.every(isPermanent)) {
    return new PermanentError(`The mail was refused: ${error.message}`, "email_refused", { cause: error });
  }
  return error.responseCode === undefined
    ? // The whole message would tell the tenant about the mail server's network.
      new Error(`The mail server could not take the mail (${error.originalCode ?? error.code ?? error.name})`, {
        cause: error,
      })
    : new Error(`The mail was deferred: ${error.message}`, { cause: error });
}

function isPermanent({ responseCode, code }: NodemailerError): boolean {
  // Without a reply, this is nodemailer's own refusal of an address.
  if (responseCode === undefined) return code === "EENVELOPE";
  return responseCode >= 500 && responseCode < 600;
}
