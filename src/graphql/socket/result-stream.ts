import { type GraphQLError, locatedError } from "graphql";

/** An `ExecutionResult`, whose own type is at odds with exact optional properties. */
export interface Result {
  data?: Record<string, unknown> | null | undefined;
  errors?: readonly GraphQLError[] | undefined;
}

/** What a reader of one result after the other would ask the database for one by one, it asks for together. */
const AHEAD = 8;

/**
 * A subscription's results, a few made ready before they are taken, in order all the same. A stream that throws would
 * close the socket: what it throws becomes its last result. No generator, since the `return` of one waits for a pending
 * `next`.
 * @param over called when it has ended, however it did.
 */
export function resultStream(stream: AsyncIterable<Result>, over: () => void): AsyncIterableIterator<Result> {
  const results = stream[Symbol.asyncIterator]();
  const ahead: Promise<IteratorResult<Result>>[] = [];
  let failed = false;
  const ended = (): IteratorResult<Result> => {
    over();
    return { done: true, value: undefined };
  };
  // All at once when the last is taken: what is asked for one by one is read one by one.
  const readAhead = (): void => {
    while (ahead.length < AHEAD) {
      const next = results.next();
      // Told when it is taken.
      next.catch(() => undefined);
      ahead.push(next);
    }
  };
  const safe: AsyncIterableIterator<Result> = {
    async next() {
      if (failed) return ended();
      if (ahead.length === 0) readAhead();
      try {
        const result = await ahead.shift();
        return result === undefined || result.done === true ? ended() : result;
      } catch (error) {
        failed = true;
        return { done: false, value: { errors: [locatedError(error, undefined, [])] } };
      }
    },
    async return() {
      await results.return?.();
      return ended();
    },
    [Symbol.asyncIterator]: () => safe,
  };
  return safe;
}
