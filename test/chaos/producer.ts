import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { AtlasClientError, createAtlasClient } from "../../dist/client/index.js";
import { within } from "../support/within.ts";

const TYPES = [...Array<string>(16).fill("QUICK"), "SLOW", "SLOW", "FLAKY", "STUBBORN"];
const EVERY_MS = 100;
const CHANGE_SHARE = 0.1;
/** Of the jobs whose handler ignores its signal: canceled while they run, so that they are cut off. */
const CUT_OFF_SHARE = 0.3;
const CUT_OFF_AFTER_MS = 1_000;
const STOP_BOUND_MS = 120_000;

/** Creates jobs, and now and then cancels, retries or deletes one, until it is stopped. */
export interface Producer {
  userId: string;
  /** The jobs that the service has accepted. */
  accepted: string[];
  /** Those that it was asked to delete; some of these requests were refused, or their answers lost. */
  toDelete: Set<string>;
  /** How many changes were answered as the contract has it. */
  changes: number;
  /** Answers that nobody should get. */
  wrong: string[];
  /** Resolves when the last create has its answer. */
  stop(): Promise<void>;
}

export interface ProducerOptions {
  urls: string[];
  tenantId: string;
  userId: string;
  token: string;
  random: () => number;
}

export function startProducer({ urls, tenantId, userId, token, random }: ProducerOptions): Producer {
  const clients = urls.map((url) => createAtlasClient({ url, tenantId, token }));
  const one = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  let stopped = false;

  /** Whatever happens, it asks until it has an answer, at one process or the other. */
  const create = async (): Promise<{ id: string; jobType: string } | null> => {
    const job = { jobType: one(TYPES), idempotencyKey: randomUUID() };
    for (;;) {
      try {
        const { id } = (await one(clients).enqueue(job)).job;
        producer.accepted.push(id);
        return { id, jobType: job.jobType };
      } catch (error) {
        if (error instanceof AtlasClientError && ["UNREACHABLE", "UNAVAILABLE"].includes(error.code)) continue;
        producer.wrong.push(`create: ${String(error)}`);
        return null;
      }
    }
  };
  const change = async (id: string, routes = [`POST /${id}/cancel`, `POST /${id}/retry`, `DELETE /${id}`]) => {
    const [method = "", path = ""] = one(routes).split(" ");
    if (method === "DELETE") producer.toDelete.add(id);
    const headers = { authorization: `Bearer ${token}`, "x-tenant-id": tenantId };
    const url = `${one(urls)}/v1/jobs${path}`;
    // Its process may be gone, or be killed before it answers.
    const answer = await fetch(url, { method, headers, signal: AbortSignal.timeout(10_000) }).catch(() => null);
    if (answer === null || answer.status === 503) return;
    // Gone, or not in a status that allows it.
    if (answer.ok || answer.status === 404 || answer.status === 409) producer.changes += 1;
    else producer.wrong.push(`${method} ${path}: ${answer.status} ${await answer.text().catch(() => "")}`);
  };

  const run = async (): Promise<void> => {
    while (!stopped) {
      const created = await create();
      if (created?.jobType === "STUBBORN" && random() < CUT_OFF_SHARE) {
        await sleep(CUT_OFF_AFTER_MS);
        await change(created.id, [`POST /${created.id}/cancel`]);
      }
      if (created !== null && random() < CHANGE_SHARE) await change(one(producer.accepted));
      await sleep(EVERY_MS);
    }
  };
  const producer: Producer = {
    userId,
    accepted: [],
    toDelete: new Set(),
    changes: 0,
    wrong: [],
    stop: () => {
      stopped = true;
      return within(STOP_BOUND_MS, over, "a producer's last answer");
    },
  };
  const over = run();
  return producer;
}
