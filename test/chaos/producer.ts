import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { AtlasClientError, createAtlasClient } from "../../dist/client/index.js";
import { within } from "../support/within.ts";
import { type Command, command, type CommandKind } from "./commands.ts";

const TYPES = [...Array<string>(16).fill("QUICK"), "SLOW", "SLOW", "FLAKY", "STUBBORN"];
const KINDS: readonly CommandKind[] = ["cancel", "retry", "delete"];
/** From one create to the next, the answer included: else a slower answer alone would lower the throughput that is measured. */
const EVERY_MS = 120;
/** Of the jobs, those that are to wait for a time of theirs, and how long at most. */
const LATER_SHARE = 0.1;
const LATER_MS = 8_000;
const CHANGE_SHARE = 0.1;
/** Changes of a job just created, which is queued or running yet; the others are of any. */
const FRESH_SHARE = 0.5;
/** Of the jobs whose handler ignores its signal: canceled while they run, so that they are cut off. */
const CUT_OFF_SHARE = 0.3;
const CUT_OFF_AFTER_MS = 1_000;
const STOP_BOUND_MS = 120_000;

/** Creates jobs, and now and then cancels, retries or deletes one, until it is stopped. */
export interface Producer {
  /** The jobs that the service has accepted, and when it was asked and answered (ms since 1970). */
  accepted: { id: string; askedAt: number; answeredAt: number }[];
  commands: Command[];
  /** Answers to creates that nobody should get. */
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

export function startProducer({ urls, random, ...by }: ProducerOptions): Producer {
  const clients = urls.map((url) => createAtlasClient({ url, ...by }));
  const one = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  let stopped = false;

  /** Whatever happens, it asks until it has an answer, at one process or the other. */
  const create = async (): Promise<{ id: string; jobType: string } | null> => {
    const job = {
      jobType: one(TYPES),
      idempotencyKey: randomUUID(),
      ...(random() < LATER_SHARE && { runAt: new Date(Date.now() + random() * LATER_MS) }),
    };
    const askedAt = Date.now();
    for (;;) {
      try {
        const { id } = (await one(clients).enqueue(job)).job;
        producer.accepted.push({ id, askedAt, answeredAt: Date.now() });
        return { id, jobType: job.jobType };
      } catch (error) {
        if (error instanceof AtlasClientError && ["UNREACHABLE", "UNAVAILABLE"].includes(error.code)) continue;
        producer.wrong.push(`create: ${String(error)}`);
        return null;
      }
    }
  };
  const change = async (kind: CommandKind, id: string): Promise<void> => {
    producer.commands.push(await command({ url: one(urls), ...by }, kind, id));
  };

  const run = async (): Promise<void> => {
    while (!stopped) {
      const next = sleep(EVERY_MS);
      const created = await create();
      if (created?.jobType === "STUBBORN" && random() < CUT_OFF_SHARE) {
        await sleep(CUT_OFF_AFTER_MS);
        await change("cancel", created.id);
      }
      if (created !== null && random() < CHANGE_SHARE) {
        await change(one(KINDS), random() < FRESH_SHARE ? created.id : one(producer.accepted).id);
      }
      await next;
    }
  };
  const producer: Producer = {
    accepted: [],
    commands: [],
    wrong: [],
    stop: () => {
      stopped = true;
      return within(STOP_BOUND_MS, over, "a producer's last answer");
    },
  };
  const over = run();
  return producer;
}
