import { createTransport, type NodemailerError } from "nodemailer";
import SMTPConnection, { type SMTPConnectionOptions } from "nodemailer/lib/smtp-connection";
import { type Delivery, type Mail, type Mailer, MailServerError, type Refusal } from "./mailer.js";
import { isOfOneMailbox, isOfOneTransaction, judgeRecipient, judgeTransaction } from "./smtp-reply.js";

const CONNECTION_TIMEOUT_MS = 10_000;
const GREETING_TIMEOUT_MS = 10_000;
// RFC 5321 4.5.3.2.6: a server may take ten minutes to answer a mail. Whoever gives up sooner sends it twice.
const SOCKET_TIMEOUT_MS = 600_000;

type Transport = ReturnType<typeof createPool>;

/** What came of one transaction, and whom to try again at once in other ones. */
interface Transaction extends Delivery {
  again: string[][];
}

/**
 * Sends mails to a mail server over a few pooled connections, five by default.
 * @param url `smtp://` or `smtps://`; its query sets nodemailer's own options, as in `?maxConnections=10`.
 */
export function createSmtpMailer(url: string): Mailer {
  const transport = createPool(url);
  return {
    async *deliver(mail, recipients, signal) {
      const groups = recipients.length > 0 ? [[...recipients]] : [];
      for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
        const { again, ...delivery } = await transact(transport, mail, group, signal);
        groups.push(...again);
        yield delivery;
      }
    },
    async supportsSmtpUtf8() {
      return (await extensionsOf(transport.options)).includes("SMTPUTF8");
    },
    close() {
      transport.close();
    },
  };
}

function createPool(url: string) {
  return createTransport({
    url,
    pool: true,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    dnsTimeout: CONNECTION_TIMEOUT_MS,
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

async function transact(
  transport: Transport,
  mail: Mail,
  recipients: string[],
  signal: AbortSignal,
): Promise<Transaction> {
  try {
    const envelope = { from: mail.from, to: recipients };
    const { accepted, rejectedErrors = [] } = await transport.sendMail({ ...mail, envelope, signal });
    return { accepted, ...sorted(rejectedErrors, true) };
  } catch (error) {
    signal.throwIfAborted();
    return failed(error as NodemailerError, recipients);
  }
}

/** What a transaction that has failed as a whole means for its recipients. */
function failed(error: NodemailerError, recipients: string[]): Transaction {
  const refusals = error.rejectedErrors;
  if (refusals !== undefined) {
    const culprit = refusals.find((refusal) => judgeRecipient(refusal, false) === "session");
    if (culprit !== undefined) throw serverError(culprit);
    return { accepted: [], ...sorted(refusals, false) };
  }
  const verdict = judgeTransaction(error);
  if (verdict === "session") throw serverError(error);
  const none = { accepted: [], refused: [], deferred: [], again: [] };
  if (recipients.length > 1 && isOfOneMailbox(error)) {
    return { ...none, again: recipients.map((recipient) => [recipient]) };
  }
  return { ...none, [verdict]: recipients.map((recipient) => refusalOf(recipient, error)) };
}

/** Sorts the refusals of single recipients. */
function sorted(errors: readonly NodemailerError[], othersAccepted: boolean): Omit<Transaction, "accepted"> {
  const refused: Refusal[] = [];
  const deferred: Refusal[] = [];
  const next: string[] = [];
  for (const error of errors) {
    const recipient = error.recipient ?? "";
    if (othersAccepted && isOfOneTransaction(error)) next.push(recipient);
    else if (judgeRecipient(error, othersAccepted) === "refused") refused.push(refusalOf(recipient, error));
    else deferred.push(refusalOf(recipient, error));
  }
  return { refused, deferred, again: next.length > 0 ? [next] : [] };
}

function refusalOf(recipient: string, error: NodemailerError): Refusal {
  return { recipient, reason: error.response ?? error.message };
}

function serverError(cause: NodemailerError): MailServerError {
  return new MailServerError("The mail server takes no mail", { cause });
}

/** What the mail server says it can do, over a connection of its own: the pool tells only once a mail is sent. */
async function extensionsOf(options: SMTPConnectionOptions): Promise<string[]> {
  const told = Promise.withResolvers<string[]>();
  const connection = new SMTPConnection({
    ...options,
    socketTimeout: CONNECTION_TIMEOUT_MS,
    customAuth: {
      EXTENSIONS: (login) => {
        told.resolve(login.extensions);
        login.resolve();
      },
    },
  });
  connection.on("error", told.reject);
  connection.connect((error) => {
    if (error) told.reject(error);
    else connection.login({ method: "EXTENSIONS" }, () => undefined);
  });
  try {
    return await told.promise;
  } catch (error) {
    throw serverError(error as NodemailerError);
  } finally {
    connection.quit();
    connection.close();
  }
}
