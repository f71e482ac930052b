import { type GraphQLError, locatedError } from "graphql";

/** As `ExecutionResult` of the library, whose type does not fit `exactOptionalPropertyTypes`. */
export interface Result {
  data?: Record<string, unknown> | null | undefined;
  errors?: readonly GraphQLError[] | undefined;
}

/** Results made ready together: what they need of the database is read in one batch. */
const AHEAD = 8;

/**
 * A subscription's results, in order, some of them made ready before they are taken. An error that the stream throws
 * becomes its last result: thrown, it would close the socket. Not a generator: the `return` of one would wait until its
 * pending `next` is answered.
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
  // All anew when the last one is taken: results that are asked for one at a time would be read one at a time.
  const readAhead = (): void => {
    while (ahead.length < AHEAD) {
      const next = results.next();
      // Its error is told when the result is taken.
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
