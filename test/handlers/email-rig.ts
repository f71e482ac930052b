import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { createHandlers } from "../../src/handlers/create-handlers.js";
import type { Handler } from "../../src/handlers/handler.js";
import { createLogger } from "../../src/log.js";
import { atEnd, useFixture } from "../support/use.js";

/** A mail as a server has taken it. */
export interface Received {
  recipients: string[];
  message: string;
}

export type MailRig = Awaited<ReturnType<typeof createMailRig>>;

/** Mail servers, and EMAIL_SEND handlers that use them. */
async function createMailRig() {
  const dataDir = await mkdtemp(join(tmpdir(), "atlas-email-"));
  atEnd(() => rm(dataDir, { recursive: true }));
  const received: Received[] = [];

  const portOf = async (server: Server): Promise<number> => {
    await once(server.listen(0, "127.0.0.1"), "listening");
    atEnd(() => new Promise((resolve) => server.close(resolve)));
    return (server.address() as AddressInfo).port;
  };

  return {
    dataDir,
    /** What the servers have taken, in order. */
    received,
    /** Starts a mail server that keeps what it receives. @returns its URL. */
    async server(options: SMTPServerOptions = {}): Promise<string> {
      const server = new SMTPServer({
        disabledCommands: ["STARTTLS", "AUTH"],
        disableReverseLookup: true,
        closeTimeout: 1,
        onData: (stream, { envelope }, done) =>
          void text(stream).then((message) => {
            received.push({ recipients: envelope.rcptTo.map(({ address }) => address), message });
            done();
          }),
        ...options,
      });
      server.on("error", () => {});
      const listening = server.listen(0, "127.0.0.1");
      await once(listening, "listening");
      atEnd(() => new Promise<void>((resolve) => server.close(() => resolve())));
      return `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`;
    },
    /**
     * Starts a mail server that answers by `reply`, which is given each line, and "." for a whole mail; null destroys the
     * connection. Without a word of its own a line is fine.
     */
    async script(reply: (line: string) => string | null | undefined): Promise<string> {
      const server = createServer((socket) => {
        let inMail = false;
        let rest = "";
        const say = (given: string | null | undefined, otherwise: string) => {
          if (given === null) socket.destroy();
          else socket.write(`${given ?? otherwise}\r\n`);
        };
        socket.on("error", () => {});
        say(reply("CONNECT"), "220 ready");
        socket.on("data", (chunk) => {
          const lines = (rest + chunk.toString()).split("\r\n");
          rest = lines.pop() ?? "";
          for (const line of lines) {
            if (inMail && line !== ".") continue;
            const answer = reply(line);
            inMail = line === "DATA" && (answer === undefined || answer?.startsWith("3") === true);
            say(answer, line === "DATA" ? "354 go on" : "250 fine");
          }
        });
      });
      return `smtp://127.0.0.1:${await portOf(server)}`;
    },
    /** The handler of EMAIL_SEND as the service makes it. @param smtpUrl null: the outbox. */
    async sender(smtpUrl: string | null): Promise<Handler> {
      const config = {
        smtpUrl,
        emailFrom: "Atlas Jobs <jobs@localhost>",
        dataDir,
        handlersDir: null,
        production: false,
      };
      const { handlers, close } = await createHandlers(config, createLogger("silent"));
      atEnd(close);
      return handlers.get("EMAIL_SEND")!.handler;
    },
    /** A port that nobody listens on. */
    async freePort(): Promise<number> {
      const server = createServer();
      const port = await portOf(server);
      await new Promise((resolve) => server.close(resolve));
      return port;
    },
  };
}

/** A rig for each of the tests beside the call. */
export function useMailRig(): MailRig {
  return useFixture(createMailRig, { per: "test" });
}

/** Takes every recipient but those given a reply: a code, or a code and words. */
export function refuse(replies: Record<string, number | string>): NonNullable<SMTPServerOptions["onRcptTo"]> {
  return ({ address }, _, done) => done(replies[address] === undefined ? null : replyOf(replies[address]));
}

/** A reply as `smtp-server` takes it: a code, or a code and words. */
export function replyOf(reply: number | string): Error {
  const [, code, words] = /^(\d{3}) ?(.*)$/.exec(String(reply)) ?? [];
  return Object.assign(new Error(words || "refused"), { responseCode: Number(code) });
}

export function headerOf(message: string, name: string): string | undefined {
  const [head = ""] = message.split("\r\n\r\n");
  const unfolded = head.replaceAll(/\r\n[ \t]/g, " ");
  return new RegExp(`^${name}: (.*)$`, "im").exec(unfolded)?.[1];
}

export function bodyOf(message: string): string {
  return message.slice(message.indexOf("\r\n\r\n"));
}
