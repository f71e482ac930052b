import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type {
  ExecutionArgs,
  FormattedExecutionResult,
  GraphQLError,
  GraphQLFormattedError,
  GraphQLSchema,
} from "graphql";
import { handleProtocols, type ServerOptions, type SubscribePayload } from "graphql-ws";
import { type Extra, useServer } from "graphql-ws/use/ws";
import { type WebSocket, WebSocketServer } from "ws";
import type { Config } from "../../config.js";
import { ERROR_REPORTS, SOCKETS } from "../../limits/policies.js";
import type { Services } from "../../services/services.js";
import type { Admission } from "../admission/admission.js";
import { createContext } from "../api/context.js";
import { formatError, logUnknownErrors, withRequestId } from "../api/errors.js";
import { type Connection, type ConnectionOptions, openConnection } from "./connection.js";
import { Flow } from "./flow.js";
import { Operations } from "./operations.js";
import { readMessage } from "./read-message.js";
import { type Result, resultStream } from "./result-stream.js";
import type { Trust } from "./same-origin.js";
import { refuseUpgrade, upgradeRefusal } from "./upgrade.js";

export interface SocketServerOptions extends ConnectionOptions {
  schema: GraphQLSchema;
  admission: Admission;
  services: Services;
  config: Pick<Config, "corsOrigins" | "streamsPerUser" | "streamsPerTenant">;
}

interface SocketExtra extends Extra, Record<PropertyKey, unknown> {
  /** Absent until the socket has signed in. */
  connection?: Connection;
}
type SocketOptions = ServerOptions<Record<string, unknown> | undefined, SocketExtra>;

/** At a shutdown, for clients to answer the close. */
const CLOSE_BOUND_MS = 1_000;

/** Subscriptions over graphql-transport-ws, and nothing else: queries and mutations have HTTP, with its limits. */
export class SocketServer {
  private readonly sockets = new WebSocketServer({
    noServer: true,
    maxPayload: SOCKETS.messageBytes,
    perMessageDeflate: false,
    // One message after the other, each in a turn of the event loop of its own.
    allowSynchronousEvents: false,
    handleProtocols,
  });
  private readonly flow = new Flow();
  private readonly operations: Operations;
  private readonly served: { dispose(): void | Promise<void> };
  private closing: Promise<void> | null = null;

  constructor(private readonly options: SocketServerOptions) {
    const { streamsPerUser: perUser, streamsPerTenant: perTenant } = options.config;
    this.operations = new Operations({ perUser, perTenant });
    this.served = useServer(this.hooks(), this.sockets, SOCKETS.pongMs);
  }

  /** Answers the upgrade requests of an HTTP server. */
  serve(server: Server, trusts: Trust): void {
    const { corsOrigins } = this.options.config;
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on("error", () => socket.destroy());
      const refusal =
        this.closing === null ? upgradeRefusal(request, { corsOrigins, trusts }) : "503 Service Unavailable";
      if (refusal !== null) refuseUpgrade(socket, refusal);
      else this.sockets.handleUpgrade(request, socket, head, (client) => this.open(client, request));
    });
  }

  /** Closes every socket with 1001 and takes no more; one that does not answer is cut off. */
  close(): Promise<void> {
    return (this.closing ??= this.endAll());
  }

  private open(client: WebSocket, request: IncomingMessage): void {
    sendQuietly(client);
    this.sockets.emit("connection", client, request);
    // graphql-ws' own listener prints a client's mistakes to the console.
    client.removeAllListeners("error").on("error", (error) => this.options.log.debug({ err: error }, "socket error"));
    this.flow.watch(client, request.socket);
  }

  private async endAll(): Promise<void> {
    const clients = [...this.sockets.clients];
    for (const client of clients) client.close(1001, "Shutting down");
    const gone = Promise.all(clients.map((client) => new Promise((resolve) => client.once("close", resolve))));
    await Promise.race([gone, sleep(CLOSE_BOUND_MS, undefined, { ref: false })]);
    // Also a socket whose upgrade had begun before the close, and ended after it.
    for (const client of this.sockets.clients) client.terminate();
    await this.served.dispose();
  }

  /** What graphql-ws calls: for a new connection, an operation, and each of its results. */
  private hooks(): SocketOptions {
    return {
      connectionInitWaitTimeout: SOCKETS.initMs,
      jsonMessageReviver: readMessage,
      onConnect: async ({ connectionParams, extra }) => {
        const connection = await openConnection(extra.socket, connectionParams, this.options);
        if (connection === null) return false;
        extra.connection = connection;
        this.flow.identify(extra.socket, connection.viewer.userId);
        return true;
      },
      onSubscribe: ({ extra }, id, payload) => this.begin(extra, id, payload),
      onOperation: ({ extra: { socket } }, id, _payload, _args, result) => {
        const over = (): void => this.operations.end(socket, id);
        if (Symbol.asyncIterator in result) return resultStream(result, over);
        over();
        return undefined;
      },
      onNext: async ({ extra }, _id, _payload, _args, result) => {
        await this.flow.untilBufferHasRoom(extra.socket);
        return this.formatted(result, connectionOf(extra));
      },
      onError: ({ extra }, _id, _payload, errors) => this.formattedErrors(errors, connectionOf(extra)),
    };
  }

  /** Admits an operation; one that is refused leaves the socket open. */
  private async begin(
    extra: SocketExtra,
    id: string,
    { query, variables, operationName }: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const { schema, admission, services } = this.options;
    const { socket } = extra;
    const { viewer, requestId } = connectionOf(extra);
    const refusal = this.operations.begin(socket, id, viewer);
    if (refusal !== null) return [refusal];
    await this.flow.untilPaceAllows(socket);
    const admitted = await admission.admit(query, { operationName, variables, viewer });
    if (!("kind" in admitted)) {
      this.operations.end(socket, id);
      return admitted;
    }
    return {
      schema,
      document: admitted,
      contextValue: createContext({ viewer, services, requestId, onAllowance: ignore, setHeaders: ignore }),
      variableValues: variables ?? null,
      operationName: operationName ?? null,
      options: { maxCoercionErrors: ERROR_REPORTS.errors },
    };
  }

  private formatted(result: Result, connection: Connection): FormattedExecutionResult | undefined {
    if (result.errors === undefined) return undefined;
    const errors = this.formattedErrors(result.errors, connection);
    return result.data === undefined ? { errors } : { data: result.data, errors };
  }

  private formattedErrors(
    errors: readonly GraphQLError[],
    { requestId }: Connection,
  ): readonly GraphQLFormattedError[] {
    logUnknownErrors(this.options.log, requestId, errors);
    return errors.map((error) => withRequestId(formatError(error.toJSON(), error), requestId));
  }
}

/** graphql-ws lets nothing begin on a socket that has not signed in. */
function connectionOf({ connection }: SocketExtra): Connection {
  if (connection === undefined) throw new Error("an operation began on a socket that has not signed in");
  return connection;
}

/** Keeps the error of a send to a closed socket from graphql-ws, which would print it to the console. It is told of the close. */
function sendQuietly(client: WebSocket): void {
  const send = client.send.bind(client) as (data: string, sent: () => void) => void;
  client.send = (data: string, sent?: unknown) => send(data, () => typeof sent === "function" && sent());
}

/** An operation on a socket has no response with headers. */
function ignore(): void {}
