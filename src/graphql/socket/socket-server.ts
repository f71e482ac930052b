import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import {
  type ExecutionArgs,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from "graphql";
import { type Context, handleProtocols, type ServerOptions, type SubscribePayload } from "graphql-ws";
import { type Extra, useServer } from "graphql-ws/use/ws";
import { type WebSocket, WebSocketServer } from "ws";
import { type Authenticator, memberKey } from "../../auth/authenticator.js";
import { ExpiredTokenError } from "../../auth/expired-token-error.js";
import { Slots } from "../../limits/slots.js";
import { credentialsOf } from "../../auth/credentials.js";
import type { MembershipEnd, MembershipWatch } from "../../auth/membership-watch.js";
import type { Viewer } from "../../auth/viewer.js";
import type { Config } from "../../config.js";
import { AtlasError, type ErrorCode } from "../../errors.js";
import type { Logger } from "../../log.js";
import type { Services } from "../../services/services.js";
import { createContext } from "../api/context.js";
import type { Admission } from "../admission/admission.js";
import { readMessage } from "./read-message.js";
import { type Result, resultStream } from "./result-stream.js";
import { Pace } from "../../limits/pace.js";
import { endStalled } from "./end-stalled.js";
import { isSameOrigin, type Trust } from "./same-origin.js";
import { asGraphqlError, formatError, logUnknownErrors, MAX_ERRORS, withRequestId } from "../api/errors.js";

export interface SocketServerOptions {
  schema: GraphQLSchema;
  admission: Admission;
  services: Services;
  authenticator: Authenticator;
  memberships: MembershipWatch;
  config: Pick<Config, "corsOrigins" | "production" | "streamsPerUser" | "streamsPerTenant">;
  log: Logger;
}

interface SocketExtra extends Extra, Record<PropertyKey, unknown> {
  viewer?: Viewer;
  /** Names the connection in logs and errors. */
  requestId?: string;
  /** Until the message before the next may be sent. */
  sending?: Promise<void>;
  /** The operations that are not over, by id, and what tells that they are. */
  operations?: Map<string, () => void>;
}
type SocketContext = Context<Record<string, unknown> | undefined, SocketExtra>;

const PATH = "/graphql";
const MAX_PAYLOAD_BYTES = 128 * 1024;
const INIT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 12_000;
const MAX_OPERATIONS = 100;
/** What a user's sockets may send together: to parse and check a document takes longer than to receive it. */
const MESSAGES = { bytesPerSecond: 512 * 1024, freeBytes: 0, aheadBytes: 128 * 1024, maxDebtMs: 60_000 };
/** As which the smallest of each kind counts. */
const LEAST_BYTES = { message: 1_000, ping: 100, pong: 100 };
/** Clients are asked for a sign of life every twelve seconds, and theirs are not read meanwhile. */
const MAX_WAIT_MS = 10_000;
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
/** With more that waits to be sent, nothing is added. */
const ROOM_BYTES = 1024 * 1024;
const ROOM_CHECK_MS = 20;
const CLOSE_BOUND_MS = 1_000;

/** Why a connection is refused: its close code, and what it says. */
const REFUSALS: Partial<Record<ErrorCode, readonly [code: number, reason: string]>> = {
  missing_bearer_token: [4401, "Unauthorized"],
  invalid_token: [4401, "Unauthorized"],
  tenant_access_denied: [4403, "Forbidden"],
  tenant_required: [4400, "Name the tenant in x-tenant-id"],
  invalid_tenant_id: [4400, "x-tenant-id must be one UUID"],
  unavailable: [1013, "Try again later"],
  // Not 4429, at which graphql-ws gives up for good: those that are gone, as after a restart, are counted for a moment more.
  rate_limit_exceeded: [1013, "Too many requests or sockets"],
};

/** Clients reconnect, with a new token. */
const ENDS: Record<MembershipEnd, string> = { expired: "The token has expired", removed: "Forbidden" };

function refusalFor(error: unknown): readonly [code: number, reason: string] | undefined {
  if (error instanceof ExpiredTokenError) return [4403, ENDS.expired];
  return error instanceof AtlasError ? REFUSALS[error.code] : undefined;
}

/** Subscriptions over graphql-transport-ws, and nothing else: queries and mutations have HTTP, with its limits. */
export class SocketServer {
  private readonly sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_PAYLOAD_BYTES,
    perMessageDeflate: false,
    // One message after the other, each in a turn of the event loop of its own.
    allowSynchronousEvents: false,
    handleProtocols,
  });
  private readonly pace = new Pace(MESSAGES);
  private readonly operations: Slots;
  /** Who sends on a socket: a user, or a stranger of whom nothing is known. */
  private readonly senders = new WeakMap<WebSocket, string>();
  private closing: Promise<void> | null = null;
  private readonly served: { dispose(): void | Promise<void> };

  constructor(private readonly options: SocketServerOptions) {
    const { streamsPerUser: perUser, streamsPerTenant: perTenant } = options.config;
    this.operations = new Slots({ perUser, perTenant }, "subscriptions on sockets");
    const serverOptions: ServerOptions<Record<string, unknown> | undefined, SocketExtra> = {
      connectionInitWaitTimeout: INIT_TIMEOUT_MS,
      jsonMessageReviver: readMessage,
      onConnect: (context) => this.connect(context),
      onSubscribe: (context, id, payload) => this.begin(context, id, payload),
      onOperation: ({ extra }, id, _payload, _args, result) => {
        const over = (): void => this.end(extra, id);
        if (Symbol.asyncIterator in result) return resultStream(result, over);
        over();
        return undefined;
      },
      onNext: async ({ extra }, _id, _payload, _args, result) => {
        await room(extra);
        return this.formatted(result, extra.requestId ?? "");
      },
      onError: ({ extra }, _id, _payload, errors) => this.formattedErrors(errors, extra.requestId ?? ""),
    };
    this.served = useServer(serverOptions, this.sockets, KEEP_ALIVE_MS);
  }

  /** Answers the upgrade requests of an HTTP server. */
  serve(server: Server, trusts: Trust): void {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on("error", () => socket.destroy());
      const refusal = this.refusalOf(request, trusts);
      if (refusal !== null) {
        socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      this.sockets.handleUpgrade(request, socket, head, (client) => {
        sendQuietly(client);
        this.sockets.emit("connection", client, request);
        // graphql-ws prints what a client did wrong to the console.
        client
          .removeAllListeners("error")
          .on("error", (error) => this.options.log.debug({ err: error }, "socket error"));
        endStalled(client, request.socket);
        // Before graphql-ws is told.
        for (const [sent, leastBytes] of Object.entries(LEAST_BYTES)) {
          client.prependListener(sent, ({ length }: Buffer) => this.receive(client, Math.max(length, leastBytes)));
        }
      });
    });
  }

  /** Has a socket wait whose user sends more than their share. */
  private receive(client: WebSocket, bytes: number): void {
    // Whoever sends and does not read what comes back would fill our memory with answers.
    if (client.bufferedAmount > MAX_BUFFERED_BYTES) client.terminate();
    const sender = this.senderOf(client);
    this.pace.spend(sender, bytes);
    const waitMs = this.pace.waitMs(sender);
    if (waitMs === 0 || client.isPaused) return;
    client.pause();
    if (waitMs <= MAX_WAIT_MS) {
      setTimeout(() => client.resume(), waitMs).unref();
      return;
    }
    client.close(4429, "Too many messages");
    // Its answer is not read any more.
    setTimeout(() => client.terminate(), CLOSE_BOUND_MS).unref();
  }

  private senderOf(client: WebSocket): string {
    const known = this.senders.get(client);
    if (known !== undefined) return known;
    const stranger = randomUUID();
    this.senders.set(client, stranger);
    return stranger;
  }

  /** Closes every socket with 1001 and takes no more; one that does not answer is cut off. */
  close(): Promise<void> {
    return (this.closing ??= this.endAll());
  }

  private async endAll(): Promise<void> {
    const clients = [...this.sockets.clients];
    for (const client of clients) client.close(1001, "Shutting down");
    const gone = Promise.all(clients.map((client) => new Promise((resolve) => client.once("close", resolve))));
    await Promise.race([gone, sleep(CLOSE_BOUND_MS, undefined, { ref: false })]);
    // One whose upgrade was under way may have come meanwhile.
    for (const client of this.sockets.clients) client.terminate();
    await this.served.dispose();
  }

  private refusalOf(request: IncomingMessage, trusts: Trust): string | null {
    if (this.closing !== null) return "503 Service Unavailable";
    if ((request.url ?? "").split("?")[0] !== PATH) return "404 Not Found";
    const { origin } = request.headers;
    const { corsOrigins } = this.options.config;
    const known =
      origin === undefined ||
      corsOrigins.includes("*") ||
      corsOrigins.includes(origin) ||
      isSameOrigin(request, origin, trusts);
    return known ? null : "403 Forbidden";
  }

  private async connect({ connectionParams, extra }: SocketContext): Promise<boolean> {
    const { authenticator, memberships } = this.options;
    const { socket } = extra;
    extra.requestId = randomUUID();
    const gone = new AbortController();
    socket.once("close", () => {
      gone.abort();
      for (const id of extra.operations?.keys() ?? []) this.end(extra, id);
    });
    try {
      const credentials = credentialsOf(headersOf(connectionParams));
      const viewer = await authenticator.authenticate(credentials, { requestId: extra.requestId, gone: gone.signal });
      if (gone.signal.aborted) return false;
      extra.viewer = viewer;
      this.senders.set(socket, viewer.userId);
      socket.once(
        "close",
        memberships.follow(viewer, (why) => socket.close(4403, ENDS[why])),
      );
      return true;
    } catch (error) {
      const refusal = refusalFor(error);
      if (refusal === undefined) this.options.log.error({ err: error }, "a socket could not be authenticated");
      socket.close(...(refusal ?? [1011, "Internal server error"]));
      return false;
    }
  }

  /**
   * Begins an operation, unless one with its id is not over: graphql-ws keeps one stream for each id, and would lose sight
   * of the other.
   */
  private async begin(
    context: SocketContext,
    id: string,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const { extra } = context;
    const operations = (extra.operations ??= new Map());
    if (operations.has(id)) {
      extra.socket.close(4409, "An operation with this id is not over");
      return [new GraphQLError("An operation with this id is not over", CLIENTS_FAULT)];
    }
    if (operations.size >= MAX_OPERATIONS) {
      const message = `A socket may have ${MAX_OPERATIONS} operations`;
      return [asGraphqlError(new AtlasError("rate_limit_exceeded", message))];
    }
    try {
      if (extra.viewer !== undefined)
        operations.set(id, this.operations.enter({ user: memberKey(extra.viewer), tenant: extra.viewer.tenantId }));
    } catch (error) {
      return [asGraphqlError(error as AtlasError)];
    }
    await this.pace.turn(this.senderOf(extra.socket));
    const prepared = await this.prepare(context, payload);
    if (Array.isArray(prepared)) this.end(extra, id);
    return prepared;
  }

  private end({ operations }: SocketExtra, id: string): void {
    operations?.get(id)?.();
    operations?.delete(id);
  }

  /** A document that is refused fails its operation, and leaves the socket open. */
  private async prepare(
    { extra }: SocketContext,
    { query, variables, operationName }: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const { schema, admission, services } = this.options;
    const viewer = extra.viewer ?? null;
    const document = await admission.admit(query, { operationName, variables, viewer });
    if (!("kind" in document)) return document;
    const requestId = extra.requestId ?? "";
    return {
      schema,
      document,
      contextValue: createContext({ viewer, services, requestId, onAllowance: () => undefined }),
      variableValues: variables ?? null,
      operationName: operationName ?? null,
      options: { maxCoercionErrors: MAX_ERRORS },
    };
  }

  private formatted(result: Result, requestId: string): FormattedExecutionResult | undefined {
    if (result.errors === undefined) return undefined;
    const errors = this.formattedErrors(result.errors, requestId);
    return result.data === undefined ? { errors } : { data: result.data, errors };
  }

  private formattedErrors(errors: readonly GraphQLError[], requestId: string): readonly GraphQLFormattedError[] {
    logUnknownErrors(this.options.log, requestId, errors);
    return errors.map((error) => withRequestId(formatError(error.toJSON(), error), requestId));
  }
}

/**
 * Waits until a socket has room for a message: its operations send one after the other, each in a turn of the event loop
 * of its own. Whoever reads slowly holds themselves up, and a thousand changes for a hundred operations nobody else.
 */
function room(extra: SocketExtra): Promise<void> {
  const { socket } = extra;
  const roomFor = async (): Promise<void> => {
    await setImmediate();
    while (socket.readyState === socket.OPEN && socket.bufferedAmount > ROOM_BYTES) await sleep(ROOM_CHECK_MS);
  };
  return (extra.sending = (extra.sending ?? Promise.resolve()).then(roomFor));
}

/** Has a send to a client who has gone end in silence: graphql-ws would print it to the console. The close is told anyway. */
function sendQuietly(client: WebSocket): void {
  const send = client.send.bind(client) as (data: string, sent: () => void) => void;
  client.send = (data: string, sent?: unknown) => send(data, () => typeof sent === "function" && sent());
}

const CLIENTS_FAULT = { extensions: { code: "BAD_REQUEST" } };

/**
 * The parameters as headers: names in any case, also one level down, where GraphiQL puts them. What is given twice arrives
 * as HTTP's does, comma-separated: two tenants are two, however their names are spelled.
 */
function headersOf(parameters: Record<string, unknown> | undefined): Record<string, string> {
  const nested = parameters?.["headers"];
  const headers = new Map<string, Set<string>>();
  for (const given of [parameters ?? {}, typeof nested === "object" ? (nested ?? {}) : {}]) {
    for (const [name, value] of Object.entries(given)) {
      if (typeof value !== "string") continue;
      const key = name.toLowerCase();
      headers.set(key, (headers.get(key) ?? new Set()).add(value));
    }
  }
  return Object.fromEntries(Array.from(headers, ([name, values]) => [name, [...values].join(", ")]));
}
