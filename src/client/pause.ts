/** Waits, or until the signal fires. */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, signal.aborted ? 0 : delayMs);
    signal.addEventListener("abort", done);
  });
}

/** Doubles from `firstMs` with each failure, up to `maxMs`; half of it by chance, so that clients do not come together. */
export function backOffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(failures, 20), maxMs) * (0.5 + Math.random() / 2);
}
