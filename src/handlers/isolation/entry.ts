// The process of an isolated handler. It runs as it stands, compiled or not, as a process of its own.
import { extname } from "node:path";
import { Worker as Thread } from "node:worker_threads";
import { type Logger, pino } from "pino";
import type { Handler, HandlerContext, Json, JsonObject, Progress } from "../handler.js";
import type * as ChannelModule from "./channel.js";

/** A handler's context, as far as it can be sent. */
export interface SentContext {
  jobId: string;
  tenantId: string;
  jobType: string;
  attempt: number;
  maxAttempts: number;
  workId: string;
  checkpointed: Json;
  logLevel: string;
  /** Numbers the attempt among those of this process: what is left of an earlier one is not to be taken for its. */
  turn: number;
}

const load = (module: string): Promise<unknown> =>
  import(new URL(module + extname(import.meta.url), import.meta.url).href);
const { Channel, toError, toPlain } = (await load("./channel")) as typeof ChannelModule;
// Has JSON.stringify write a bigint as the number that it is.
await load("../../bounds/exact-json");
type Message = ChannelModule.Message;

// The worker ends its attempts in order, and this process with them: a terminal's Ctrl-C goes to all processes.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
// Standard input ends with the worker. From a thread, since the handler may never give this event loop back.
const WATCH = `
  const { Socket } = require("node:net");
  new Socket({ fd: 0 }).on("close", () => process.kill(process.pid, "SIGKILL")).on("error", () => undefined).resume();`;
new Thread(WATCH, { eval: true }).unref();

let stopping = new AbortController();
const keeping = new Map<number, Progress["checkpoint"]>();

const channel = new Channel((message: Message) => void process.send?.(message), {
  async run(input: JsonObject, sent: SentContext): Promise<string> {
    stopping = new AbortController();
    keeping.clear();
    const { default: handler } = (await import(process.argv[2] ?? "")) as { default: Handler };
    return toJson(await handler(input, contextOf(sent, stopping.signal)), "output");
  },
  stop(reason: Parameters<typeof toError>[0]) {
    stopping.abort(toError(reason));
  },
  /** Keeps the checkpoint of a handler that this one runs, where this one has said how. */
  keep: (progress: number, value: Json) => keeping.get(progress)?.(value),
});
process.on("message", (message: Message) => channel.receive(message));
process.on("uncaughtException", (error) => {
  // Told before the end, which the worker cannot explain.
  process.send?.({ kind: "tell", name: "crash", args: [toPlain(error)] } satisfies Message, () => process.exit(1));
});

function contextOf({ logLevel, turn, ...sent }: SentContext, signal: AbortSignal): HandlerContext {
  let calls = 0;
  return {
    ...sent,
    signal,
    log: loggerOf(logLevel, turn),
    checkpoint: async (value) => void (await channel.ask("checkpoint", turn, toJson(value, "checkpoint"))),
    run: async (jobType, input, step = ++calls, progress) => {
      const kept = progress === undefined ? null : { id: keeping.size, checkpointed: progress.checkpointed };
      if (progress !== undefined) keeping.set(keeping.size, progress.checkpoint);
      return (await channel.ask("run", turn, jobType, toJson(input, "input"), step, kept)) as Json;
    },
  };
}

/** A log whose lines the worker writes, among its own. */
function loggerOf(level: string, turn: number): Logger {
  const options = { level, base: null, timestamp: false, formatters: { level: (label: string) => ({ level: label }) } };
  return pino(options, { write: (line: string) => channel.tell("log", turn, line) });
}

/** Text, since what has a JSON form of its own would lose it on the way. */
function toJson(value: unknown, what: string): string {
  const refuse = (fault: string) =>
    Object.assign(new Error(`the ${what} must be a JSON value${fault}`), { code: `invalid_${what}`, permanent: true });
  let json: string | undefined;
  try {
    json = JSON.stringify(value ?? null) as string | undefined;
  } catch (error) {
    throw refuse(`: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (json === undefined) throw refuse(`, got a ${typeof value}`);
  return json;
}
