import { jsonSize } from "../queue/json-size.js";

const MAX_BYTES = 256 * 1024;
const MAX_LEVELS = 64;

/**
 * Says why a JSON value cannot be stored: deeper than 64 levels, larger than 256 KiB, or holding text or a number that
 * PostgreSQL cannot. Walks without recursion, so that no nesting can exhaust the stack.
 * @returns null when it can.
 */
export function jsonFault(value: unknown): string | null {
  const rest: { value: unknown; level: number }[] = [{ value, level: 1 }];
  let values = 1;
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next.value === "string") {
      const fault = textFault(next.value);
      if (fault !== null) return fault;
    } else if (typeof next.value === "number") {
      if (!Number.isFinite(next.value)) return "must not hold a number beyond ±1.8e308";
    } else if (typeof next.value === "object" && next.value !== null) {
      if (next.level > MAX_LEVELS) return `must be at most ${MAX_LEVELS} levels deep`;
      for (const [key, inner] of Object.entries(next.value)) {
        const fault = Array.isArray(next.value) ? null : textFault(key);
        if (fault !== null) return fault;
        // Each takes at least two bytes: no need to walk on.
        if (++values > MAX_BYTES / 2) return `must be at most ${MAX_BYTES} bytes as JSON, got more`;
        rest.push({ value: inner, level: next.level + 1 });
      }
    }
  }
  const bytes = jsonSize(value, JSON.stringify(value));
  return bytes > MAX_BYTES ? `must be at most ${MAX_BYTES} bytes as JSON, got ${bytes}` : null;
}

/** Says why PostgreSQL cannot hold a text; null when it can. */
export function textFault(text: string): string | null {
  if (text.includes("\0")) return "must not contain the NUL character";
  return text.isWellFormed() ? null : "must not contain a lone surrogate";
}
