import { join } from "node:path";
import type { Config } from "../config.js";
import type { Logger } from "../log.js";
import { createEmailSend, EMAIL_SEND_SETTINGS } from "./email-send.handler.js";
import { createEngineRun, ENGINE_RUN } from "./engine-run.handler.js";
import type { Handlers, RegisteredHandler } from "./handler.js";
import { parseHandlerModule } from "./handler-module.js";
import { ProcessPool } from "./isolation/process-pool.js";
import { loadHandlers } from "./load-handlers.js";
import { createOutboxMailer } from "./outbox-mailer.js";
import { createSmtpMailer } from "./smtp-mailer.js";

/** Every handler of this process. */
export interface CreatedHandlers {
  handlers: Handlers;
  /** Ends the processes of isolated handlers, and the connections to the mail server, those at work once their mail is sent. */
  close(): Promise<void>;
}

/**
 * Makes the built-in handlers and loads those of the HANDLERS folder.
 * @throws {ConfigError} naming every file of the folder that is no handler.
 */
export async function createHandlers(
  config: Pick<Config, "smtpUrl" | "emailFrom" | "dataDir" | "handlersDir" | "production">,
  log: Logger,
): Promise<CreatedHandlers> {
  const outbox = join(config.dataDir, "outbox");
  const mailer = config.smtpUrl === null ? createOutboxMailer(outbox) : createSmtpMailer(config.smtpUrl);
  const processes = new ProcessPool();
  const handlers: Map<string, RegisteredHandler> = new Map([
    ["EMAIL_SEND", parseHandlerModule({ default: createEmailSend(mailer, config.emailFrom), ...EMAIL_SEND_SETTINGS })],
    [ENGINE_RUN, parseHandlerModule({ default: createEngineRun((jobType): boolean => handlers.has(jobType)) })],
  ]);
  if (config.handlersDir !== null) {
    const loaded = await loadHandlers(config.handlersDir, new Set(handlers.keys()), processes);
    for (const [jobType, handler] of loaded) handlers.set(jobType, handler);
  }
  if (config.production && config.smtpUrl === null) {
    log.warn({ outbox }, "SMTP_URL is not set: mails are written to files, and nobody gets them");
  }
  log.info({ jobTypes: [...handlers.keys()], mail: config.smtpUrl === null ? outbox : "smtp" }, "handlers ready");
  return {
    handlers,
    close: async () => {
      processes.close();
      mailer.close();
    },
  };
}
