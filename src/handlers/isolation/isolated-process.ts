import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseJson } from "../../bounds/exact-json.js";
import type { Handler, HandlerContext, Json, JsonObject } from "../handler.js";
import { Channel, type Message, toError, toPlain } from "./channel.js";
import type { SentContext } from "./entry.js";

const ENTRY = fileURLToPath(new URL(`./entry${extname(import.meta.url)}`, import.meta.url));
/** A handler that goes on for so long after its signal has fired is killed; the worker waits for it a little longer. */
const KILL_AFTER_MS = 2_000;

/** A process that runs one handler module's attempts, one after the other. */
export class IsolatedProcess {
  private readonly child: ChildProcess;
  private readonly channel: Channel;
  private context: HandlerContext | null = null;
  private turn = 0;
  private crash: Error | null = null;
  private ended = false;

  /** @param module the handler's file, as a URL. */
  constructor(readonly module: string) {
    this.child = fork(ENTRY, [module], {
      execArgv: [],
      serialization: "advanced",
      // Its standard input is never written to: it ends when this process does, or the thread that started it.
      stdio: ["pipe", 1, 2, "ipc"],
    });
    this.channel = new Channel((message) => this.child.connected && this.child.send(message, () => undefined), {
      checkpoint: (turn: number, json: string) => this.attempt(turn).checkpoint(parseJson(json) as Json),
      run: (
        turn: number,
        type: string,
        input: string,
        step: number,
        kept: { id: number; checkpointed: Json } | null,
      ) => {
        const progress = kept && {
          checkpointed: kept.checkpointed,
          checkpoint: async (value: Json) => void (await this.channel.ask("keep", kept.id, value)),
        };
        return this.attempt(turn).run(
          type,
          parseJson(input) as JsonObject,
          step,
          ...(progress === null ? [] : [progress]),
        );
      },
      log: (turn: number, line: string) => {
        const { level, msg, ...bindings } = JSON.parse(line) as { level: "info"; msg: string };
        this.attempt(turn).log[level](bindings, msg);
      },
      crash: (error: Parameters<typeof toError>[0]) => {
        this.crash = toError(error);
      },
    });
    this.child.on("message", (message: Message) => this.channel.receive(message));
    this.child.once("error", (error) => this.end(error));
    // One that waits for its next attempt must not keep this process alive.
    for (const handle of [this.child, this.child.channel, this.child.stdin as Socket | null]) handle?.unref();
    this.child.once("exit", (code, signal) => this.end(this.crash ?? endOf(code, signal)));
  }

  /** Whether it can run another attempt. */
  get alive(): boolean {
    return !this.ended && this.child.connected;
  }

  /** Runs one attempt; stops it when its signal fires, and kills it some time later. */
  async run(input: JsonObject, context: HandlerContext): Promise<ReturnType<Handler>> {
    this.context = context;
    this.turn += 1;
    const { signal } = context;
    let killing: NodeJS.Timeout | undefined;
    const stop = (): void => {
      this.channel.tell("stop", toPlain(signal.reason));
      killing = setTimeout(() => this.kill(), KILL_AFTER_MS);
    };
    try {
      const running = this.channel.ask("run", input, sentOf(context, this.turn));
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
      return parseJson((await running) as string);
    } finally {
      clearTimeout(killing);
      signal.removeEventListener("abort", stop);
      this.context = null;
    }
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** The context of the attempt that runs now; what an earlier one has left at work has none. */
  private attempt(turn: number): HandlerContext {
    if (this.context === null || turn !== this.turn) throw new Error("the attempt has ended");
    return this.context;
  }

  private end(error: Error): void {
    this.ended = true;
    this.channel.close(error);
  }
}

function sentOf(
  { jobId, tenantId, jobType, attempt, maxAttempts, workId, checkpointed, log }: HandlerContext,
  turn: number,
): SentContext {
  const logLevel = log.level;
  return { jobId, tenantId, jobType, attempt, maxAttempts, workId, checkpointed, logLevel, turn };
}

function endOf(code: number | null, signal: NodeJS.Signals | null): Error {
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
  const why = signal === "SIGABRT" || signal === "SIGKILL" ? ", as when it runs out of memory" : "";
  return Object.assign(new Error(`The handler's process ${how}${why}`), { code: "process_ended" });
}
