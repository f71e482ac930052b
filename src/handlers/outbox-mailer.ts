import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import type { Mailer } from "./mailer.js";

/**
 * Writes each mail into a folder as `<workId>.eml`, its Bcc header included, and counts every recipient as accepted.
 * A mail sent again replaces its file; a reader of `*.eml` never sees half of one.
 * @param folder made when the first mail is written.
 */
export function createOutboxMailer(folder: string): Mailer {
  const transport = createTransport({
    streamTransport: true,
    buffer: true,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async *deliver(mail, recipients, signal) {
      if (recipients.length === 0) return;
      const { message } = await transport.sendMail(mail);
      signal.throwIfAborted();
      await mkdir(folder, { recursive: true });
      const draft = join(folder, `.${mail.workId}.${randomUUID()}.tmp`);
      try {
        await writeFile(draft, message);
        await rename(draft, join(folder, `${mail.workId}.eml`));
      } finally {
        await rm(draft, { force: true });
      }
      yield { accepted: [...recipients], refused: [], deferred: [] };
    },
    supportsSmtpUtf8() {
      return Promise.resolve(true);
    },
    close() {
      transport.close();
    },
  };
}
