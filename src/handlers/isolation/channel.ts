/** What two processes send each other. */
export type Message =
  | { kind: "ask"; id: number; name: string; args: readonly unknown[] }
  | { kind: "tell"; name: string; args: readonly unknown[] }
  | { kind: "answer"; id: number; value: unknown }
  | { kind: "refusal"; id: number; error: PlainError };

/** An error as it crosses between processes: what decides a job's fate (code, permanent …) is among its own values. */
interface PlainError {
  name: string;
  message: string;
  stack: string | undefined;
  own: Record<string, unknown>;
}

type Served = Readonly<Record<string, (...args: never[]) => unknown>>;

/** One end of a connection between two processes, each of which can call what the other one serves. */
export class Channel {
  private readonly asked = new Map<number, PromiseWithResolvers<unknown>>();
  private lastId = 0;
  private readonly post: (message: Message) => void;
  private readonly served: Served;

  constructor(post: (message: Message) => void, served: Served) {
    this.post = post;
    this.served = served;
  }

  /** Calls what the other end serves under this name. @throws what it throws, or the error of `close`. */
  ask(name: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = (this.lastId += 1);
    const answer = Promise.withResolvers<unknown>();
    this.asked.set(id, answer);
    this.post({ kind: "ask", id, name, args });
    return answer.promise;
  }

  /** Calls it without waiting for an answer. */
  tell(name: string, ...args: readonly unknown[]): void {
    this.post({ kind: "tell", name, args });
  }

  /** Takes what the other end has posted. */
  receive(message: Message): void {
    if (message.kind === "tell") void this.call(message).catch(() => undefined);
    else if (message.kind === "ask") void this.answer(message);
    else {
      const answer = this.asked.get(message.id);
      this.asked.delete(message.id);
      if (message.kind === "answer") answer?.resolve(message.value);
      else answer?.reject(toError(message.error));
    }
  }

  /** Nothing comes any more: whoever waits for an answer gets this error. */
  close(error: Error): void {
    for (const { reject } of this.asked.values()) reject(error);
    this.asked.clear();
  }

  private async call({ name, args }: { name: string; args: readonly unknown[] }): Promise<unknown> {
    const served = this.served[name];
    if (served === undefined) throw new Error(`nothing is served as ${name}`);
    return served(...(args as never[]));
  }

  private async answer(message: Extract<Message, { kind: "ask" }>): Promise<void> {
    const { id } = message;
    try {
      this.post({ kind: "answer", id, value: await this.call(message) });
    } catch (error) {
      this.post({ kind: "refusal", id, error: toPlain(error) });
    }
  }
}

/** Anything can be thrown: what is no error becomes one, with the same message and values. */
export function toPlain(thrown: unknown): PlainError {
  try {
    const { message = thrown, name = "Error", stack } = Object(thrown) as Record<string, unknown>;
    // What is no plain value may be large, or cannot be sent.
    const own = Object.entries(Object(thrown) as object).filter(([, value]) => isPlain(value));
    return {
      name: String(name),
      message: String(message),
      stack: typeof stack === "string" ? stack : undefined,
      own: typeof thrown === "object" ? Object.fromEntries(own) : {},
    };
  } catch {
    return { name: "Error", message: "The handler's error cannot be read", stack: undefined, own: {} };
  }
}

export function toError({ name, message, stack, own }: PlainError): Error {
  const error = Object.defineProperty(Object.assign(new Error(message), own), "name", { value: name });
  if (stack !== undefined) error.stack = stack;
  return error;
}

function isPlain(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}
