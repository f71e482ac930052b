import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";

const page = await readFile("docs/live-updates.md", "utf8");
const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
const base = blockWith('from "graphql-ws"');
const CLIENTS = {
  "graphql-ws": blockWith("live.subscribe(\n"),
  "Apollo Client": blockWith('from "@apollo/client"'),
  urql: blockWith('from "@urql/core"'),
};

export type ClientName = keyof typeof CLIENTS;
export const CLIENT_NAMES = Object.keys(CLIENTS) as ClientName[];

/** A client as docs/live-updates.md has it, in a process of its own. */
export interface DocumentedClient {
  /** A line for each change: the job's id and version. */
  seen: string[];
  /** Its complaints, and its end. */
  output(): string;
  /** Resolves to its output when it has ended. */
  ended: Promise<string>;
  kill(): void;
}

export interface DocumentedClientOptions {
  /** The service's address. */
  url: string;
  tenantId: string;
  eventCursor: string;
  /** Where a GET gives a token. */
  tokenUrl: string;
  onLine?: (line: string) => void;
}

/** Starts a client that is copied from the page. */
export function startDocumentedClient(name: ClientName, options: DocumentedClientOptions): DocumentedClient {
  const { url, tenantId, eventCursor, tokenUrl, onLine = () => undefined } = options;
  const given = `
    const tenantId = "${tenantId}";
    const eventCursor = "${eventCursor}";
    const getToken = async () => (await fetch("${tokenUrl}")).text();
    const show = ({ jobId, version }) => console.log(jobId, version);`;
  const script = [given, base, CLIENTS[name]].join("\n").replaceAll("127.0.0.1:8787", new URL(url).host);
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "pipe"] });
  const seen: string[] = [];
  let output = "";
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    seen.push(...lines);
    lines.forEach((line) => onLine(line));
  });
  const ended = once(child, "exit").then(([code]) => (output += `ended with ${code}`));
  return { seen, output: () => output, ended, kill: () => void child.kill("SIGKILL") };
}

function blockWith(text: string): string {
  const found = blocks.find((block) => block.includes(text));
  if (found === undefined) throw new Error(`docs/live-updates.md has no block with ${text}`);
  return found;
}
