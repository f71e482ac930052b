import { type Handler, PermanentError } from "../handler.js";
import { IsolatedProcess } from "./isolated-process.js";

/** Of one job: its own handler's, and those of the handlers that it runs. */
const MAX_OF_JOB = 8;
/** Kept for the next attempt, of all modules together. */
const MAX_IDLE = 10;
const MAX_IDLE_MS = 60_000;

/**
 * Runs handlers in processes of their own, each of which has one attempt at a time and then the next of its module. So there
 * are at most as many as the worker's slots allow, and a few that wait.
 */
export class ProcessPool {
  /** The longest idle first, with what ends it when nobody takes it. */
  private readonly idle = new Map<IsolatedProcess, NodeJS.Timeout>();
  private readonly busy = new Set<IsolatedProcess>();
  private readonly ofJob = new Map<string, number>();

  /** The handler of a module, which runs it elsewhere. @param module its file, as a URL. */
  handlerOf(module: string): Handler {
    return async (input, context) => {
      const leave = this.enter(context.jobId);
      const process = this.take(module);
      try {
        return await process.run(input, context);
      } finally {
        this.busy.delete(process);
        // One that had to be stopped may still be at work.
        if (context.signal.aborted) process.kill();
        else this.keep(process);
        leave();
      }
    };
  }

  /** Ends all processes, those at work too. */
  close(): void {
    for (const process of [...this.busy, ...this.idle.keys()]) this.drop(process);
  }

  private enter(jobId: string): () => void {
    const count = (this.ofJob.get(jobId) ?? 0) + 1;
    if (count > MAX_OF_JOB) {
      throw new PermanentError(`A job may have ${MAX_OF_JOB} processes at once`, "too_many_processes");
    }
    this.ofJob.set(jobId, count);
    return () => {
      const left = (this.ofJob.get(jobId) ?? 1) - 1;
      if (left === 0) this.ofJob.delete(jobId);
      else this.ofJob.set(jobId, left);
    };
  }

  private take(module: string): IsolatedProcess {
    const kept = [...this.idle.keys()].findLast((process) => process.module === module && process.alive);
    const process = kept ?? new IsolatedProcess(module);
    clearTimeout(this.idle.get(process));
    this.idle.delete(process);
    this.busy.add(process);
    return process;
  }

  private keep(process: IsolatedProcess): void {
    if (!process.alive) return;
    this.idle.set(process, setTimeout(() => this.drop(process), MAX_IDLE_MS).unref());
    for (const oldest of [...this.idle.keys()].slice(0, -MAX_IDLE)) this.drop(oldest);
  }

  private drop(process: IsolatedProcess): void {
    clearTimeout(this.idle.get(process));
    this.idle.delete(process);
    process.kill();
  }
}
