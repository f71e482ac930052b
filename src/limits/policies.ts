import type { PacePolicy } from "./pace.js";

/*
 * Every bound on what a client may send, hold or be given, each number once; docs/limits.md lists them by these names. Units stand in the names
 * (Bytes, Ms, Seconds, Years); the rest are counts. Bounds that are settings have their numbers in config.ts: creates a
 * minute, streams of a user and of a tenant, connections of the database. A job type's handler bounds its own inputs.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;

/** Who waits for a turn: a user's requests, a tenant's transactions. Half as many as the database has connections run at once. */
export const TURNS = {
  /** More of a user's requests are a program that does not wait for answers. */
  waiting: 1_000,
  /** Less than the 30 s within which most clients, and this service, give a request up. */
  waitMs: 20_000,
  /** Told to those who are refused: a turn takes milliseconds. */
  retryAfterSeconds: 1,
} as const;

/** Streams and subscriptions, so many at once for a user and for a tenant. */
export const SLOTS = {
  /** Told to those who are refused: a stream that broke is noticed, and its slot given back, within seconds. */
  retryAfterSeconds: 10,
} as const;

/** Large bodies of a user, and large pages of inputs and outputs of a tenant: to parse or write one keeps others waiting. */
export const LARGE_JSON = {
  /** Of a user who sends, of a tenant that reads. */
  bytesPerSecond: 8 * MIB,
  /** Up to this size at a time nothing is counted: it takes a moment. */
  freeBytes: MIB,
  /** The longest wait, however much came at once. */
  maxDebtMs: 2_000,
} as const satisfies PacePolicy;

/** Whole numbers outside of JSON, such as priorities: the 32 bits of PostgreSQL's and GraphQL's integers. */
export const INTEGERS = {
  min: -(2 ** 31),
  max: 2 ** 31 - 1,
} as const;

/** A job as its creator gives it and its handler leaves it. */
export const JOB = {
  /** Of a job type. */
  typeCharacters: 100,
  /** Of an idempotency key: room for a UUID and a few names. */
  keyCharacters: 200,
  /** Of `input` as JSON, as PostgreSQL writes it: numbers have no exponent there. */
  inputBytes: 256 * KIB,
  /** Objects and lists in each other, `input` itself included. */
  inputLevels: 64,
  /** Of `output` and of a checkpoint as JSON. */
  outputBytes: MIB,
  /** How far ahead `runAt` may be; a leap year's days. */
  runAheadYears: 1,
  /** What a create, or a job type, may ask for. */
  maxAttempts: 25,
  /** Where neither the create nor the job type says how many. */
  defaultAttempts: 4,
  /** The longest time of an attempt: a week. */
  timeoutMs: 7 * DAY_MS,
  /** The longest wait for the next attempt, whoever asks for it. */
  retryDelayMs: DAY_MS,
  /** Kept of a failed attempt's message. */
  errorMessageCharacters: 2_000,
  /** Kept of a failed attempt's stack, and its causes' stacks. */
  errorStackCharacters: 4_096,
} as const;

/** Jobs a day (UTC) that a member with a seat may create; null: no limit. */
export const DAILY_JOBS = {
  free_beta: 10,
  starter: 50,
  pro: 200,
  enterprise: null,
} as const;

/** Creates; how many a minute is a setting. */
export const CREATES = {
  /** In one `createJobs`. */
  jobs: 1_000,
  /** What is left of a minute's creates is counted from the first one of the minute. */
  windowSeconds: 60,
} as const;

/** Requests over HTTP. */
export const REQUESTS = {
  /** Of all headers together: twice the longest token. */
  headerBytes: 16 * KIB,
  /** For the headers to arrive: clients and proxies send them at once. */
  headersMs: 10_000,
  /** For a request to arrive, and for as long again to be answered. */
  timeoutMs: 30_000,
  /** How long `?wait=` may have a request wait for its job's end: as long as proxies keep silent connections. */
  waitSeconds: 60,
  /** Of an `X-Request-Id` that is taken over. */
  idCharacters: 100,
  /** Of `user_id`, which is given back. */
  userIdCharacters: 200,
} as const;

/** Connections, also those of event streams and sockets. */
export const CONNECTIONS = {
  /** With nothing that comes and nothing that goes: its client has stopped reading, or is gone. */
  silenceMs: 60_000,
  /** Between requests. Proxies keep theirs for 60 s: who keeps them for less, ends one that is used just then. */
  idleMs: 75_000,
} as const;

/** Request bodies. */
export const BODIES = {
  /** On REST, where a body has one job at most. */
  restBytes: MIB,
  /** On GraphQL: thirty jobs with the largest inputs, or a thousand of 8 KiB. */
  graphqlBytes: 8 * MIB,
  /** Elements of lists, and fields: parsing them takes longer than their bytes tell. */
  values: 500_000,
  /** Fields of ever new names take longest; one job's input has room for 40,000. */
  names: 50_000,
  /** Whole numbers beyond ±(2⁵³ − 1) and the like, which are parsed one by one. */
  longNumbers: 50_000,
  /** As so many bytes does a value count for the pace of large JSON. */
  valueWeightBytes: 16,
  /** Likewise a name that is new. */
  nameWeightBytes: 64,
} as const;

/** A GraphQL document; fragments count wherever they are spread. */
export const DOCUMENT = {
  /** They also bound the parser, and how deep it calls itself. */
  tokens: 8_000,
  /** Counted first, as it takes no time. */
  characters: MIB,
  /** They are counted anew for the place of each error. */
  lines: 5_000,
  /** Operations and fragments. */
  definitions: 100,
  /** Levels of fields; introspection counts as one. */
  depth: 15,
  /** Braces in braces, those of fragments too: what walks them calls itself. */
  nesting: 50,
  /** Each is a resolver's call of its own. */
  rootFields: 50,
  /** Wherever they are nested. */
  fields: 1_000,
  /** They ask for the same field again and again. */
  aliases: 50,
  /** On all that may have them. */
  directives: 50,
  /** At one field or fragment: each unknown one in its place would be an error of its own. */
  directivesInPlace: 5,
  /** Fields that stand again under a name in the same braces: comparing them is what makes validation slow. */
  repeats: 100,
  /** Inputs and outputs, which are large. */
  payloads: 20,
  /** Inputs and outputs under one root field, where the same are shown again and again. */
  payloadsOfOne: 4,
} as const;

/** A GraphQL operation's variables. */
export const VARIABLES = {
  /** Values, and names of objects' fields, outside of JSON: a thousand jobs to create have ten thousand. */
  values: 20_000,
  /** Of texts and names outside of JSON. */
  characters: MIB,
  /** Outside of JSON. */
  levels: 64,
  /** With JSON, counted wherever a variable is used: as many as a body may have. */
  usedValues: BODIES.values,
  /** With JSON, counted wherever a variable is used: as many as fit in a body. */
  usedCharacters: BODIES.graphqlBytes,
} as const;

/** What a GraphQL operation costs: about the rows that it reads, writes or shows. */
export const COST = {
  /** Of a query or mutation. */
  operation: 5_000,
  /** Of a subscription: what it selects is read for each change. */
  change: 500,
  /** Operations up to this cost take little of anything, and are not counted. */
  free: 1_000,
  /** Of a user's other operations together. */
  perSecond: 10_000,
} as const;

/** Pages of jobs, events and members, and which of them are on one. */
export const PAGES = {
  /** The most that can be asked for; REST's lists have so many. */
  rows: 200,
  /** Without `first` and `last`. */
  defaultRows: 50,
  /** In each list of a filter: ids, types, statuses. */
  filterValues: 100,
  /** Shown of a job, the last ones. */
  attempts: 100,
} as const;

/** Inputs and outputs in an answer, which is held in memory: pages and lists are cut there. */
export const ANSWERS = {
  /** Of all pages of an operation. */
  graphqlBytes: 4 * MIB,
  /** Of REST's list, which always has both of each job. */
  restBytes: 8 * MIB,
} as const;

/** Errors as a client is told them. */
export const ERROR_REPORTS = {
  /** Of a GraphQL document, or of its variables: each may quote a value, and is looked up in the text. */
  errors: 10,
  /** Of a message of GraphQL's own, which quotes the document and its variables. */
  messageCharacters: 1_000,
  /** Unknown fields of a query or body. */
  unknownFields: 10,
  /** Of an unknown field's name. */
  nameCharacters: 100,
} as const;

/** Sockets of graphql-transport-ws. */
export const SOCKETS = {
  /** For the message that signs in. */
  initMs: 10_000,
  /** For the answer to a ping; sent as often. */
  pongMs: 12_000,
  /** Of a socket, at once. */
  operations: 100,
  /** Of an operation's id: it is in the reason of a close, which has room for 123 bytes. */
  idBytes: 80,
  /** A subscription's document and variables. */
  messageBytes: 128 * KIB,
  /** As so many bytes does a message count that is smaller. */
  leastMessageBytes: 1_000,
  /** Likewise a ping or a pong. */
  leastPingBytes: 100,
  /** Less than `pongMs`, since pongs are not read either while a socket waits; with a longer wait it is closed. */
  messageWaitMs: 10_000,
  /** Answers that a client may leave unread while it still sends. */
  unreadBytes: 16 * MIB,
} as const;

/** Messages on all sockets of a user: to parse and check a document takes longer than to receive it. */
export const MESSAGES = {
  /** Of a user; before a socket has signed in, of the socket. */
  bytesPerSecond: 512 * KIB,
  /** For a page that opens, with all its subscriptions. */
  aheadBytes: 128 * KIB,
  /** Nobody is held up for longer by what they have sent. */
  maxDebtMs: 60_000,
} as const satisfies PacePolicy;

/** Live updates. */
export const FEED = {
  /** Events that wait for a subscriber who reads slowly; with more its stream ends, to be resumed. */
  waitingEvents: 1_000,
} as const;

/** Bearer tokens. */
export const TOKENS = {
  /** Leaves half of the headers to others. */
  bytes: 8_192,
  /** How far the clocks of issuer and service may be apart. */
  clockToleranceSeconds: 30,
} as const;
