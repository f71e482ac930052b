/** What a member may ask of a job of theirs. */
export type CommandKind = "cancel" | "retry" | "delete";

/** A command as it was asked and answered. */
export interface Command {
  kind: CommandKind;
  jobId: string;
  userId: string;
  /** ms since 1970, as `answeredAt`. */
  askedAt: number;
  answeredAt: number;
  /** `unanswered`: it may have happened or not. */
  outcome: "done" | "refused" | "unanswered";
  /** What it was told of the job; null: nothing. */
  job: { version: number; status: string } | null;
  /** An answer that nobody should get. */
  wrong: string | null;
}

export interface Commander {
  url: string;
  tenantId: string;
  userId: string;
  token: string;
}

type Answer = Pick<Command, "outcome" | "job" | "wrong">;

const ANSWER_BOUND_MS = 10_000;
const UNANSWERED: Answer = { outcome: "unanswered", job: null, wrong: null };
const REFUSED: Answer = { outcome: "refused", job: null, wrong: null };
/** Gone, or not in a status that allows it. */
const REFUSALS = [
  "NOT_FOUND",
  "INVALID_TRANSITION",
  "JOB_RUNNING",
  "job_not_found",
  "invalid_transition",
  "job_running",
];

/** Asks once: a delete over REST, the others over GraphQL, whose answer tells the job's version. */
export async function command(by: Commander, kind: CommandKind, jobId: string): Promise<Command> {
  const askedAt = Date.now();
  // Its process may be gone, or be killed before it answers.
  const answer = await (kind === "delete" ? remove(by, jobId) : mutate(by, kind, jobId)).catch(() => UNANSWERED);
  return { kind, jobId, userId: by.userId, askedAt, answeredAt: Date.now(), ...answer };
}

async function remove(by: Commander, jobId: string): Promise<Answer> {
  const { status, body } = await send(by, `/v1/jobs/${jobId}`, { method: "DELETE" });
  if (status === 200) return { outcome: "done", job: null, wrong: null };
  return notDone(String((body as { error?: string }).error), body);
}

interface Mutated {
  data?: { change: { job: { version: number; status: string } } } | null;
  errors?: { extensions: { code: string } }[];
}

async function mutate(by: Commander, kind: "cancel" | "retry", id: string): Promise<Answer> {
  const query = `mutation ($id: ID!) { change: ${kind}Job(id: $id) { job { version status } } }`;
  const answer = await send(by, "/graphql", { method: "POST", body: JSON.stringify({ query, variables: { id } }) });
  const { data, errors } = answer.body as Mutated;
  const job = data?.change.job;
  if (job !== undefined) return { outcome: "done", job: { ...job, status: job.status.toLowerCase() }, wrong: null };
  return notDone(String(errors?.[0]?.extensions.code), answer.body);
}

async function send(by: Commander, path: string, init: RequestInit): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${by.url}${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${by.token}`,
      "x-tenant-id": by.tenantId,
      "content-type": "application/json",
    },
    signal: AbortSignal.timeout(ANSWER_BOUND_MS),
  });
  return { status: answer.status, body: await answer.json() };
}

function notDone(code: string, body: unknown): Answer {
  if (REFUSALS.includes(code)) return REFUSED;
  if (code.toUpperCase() === "UNAVAILABLE") return UNANSWERED;
  return { ...UNANSWERED, wrong: JSON.stringify(body) };
}
