import { numberFault } from "./exact-json.js";
import { jsonSize } from "./json-size.js";
import { textFault } from "./text.js";

/** Why a JSON value cannot be stored, and where in it. */
export interface JsonFault {
  /** The fields and indexes that lead to a number; empty: it is the value as a whole. */
  path: string[];
  message: string;
}

/** A value in another one. */
interface Place {
  value: unknown;
  level: number;
  key: string;
  within: Place | null;
}

/**
 * Says why a JSON value cannot be stored: too deep, too large, or holding text that PostgreSQL cannot, or a number that
 * would not stay what it is. Walks without recursion, so that no nesting can exhaust the stack.
 * @returns null when it can.
 */
export function jsonFault(value: unknown, max: { bytes: number; levels: number }): JsonFault | null {
  const whole = (message: string): JsonFault => ({ path: [], message });
  const tooLarge = (bytes: number | string): JsonFault =>
    whole(`must be at most ${max.bytes} bytes as JSON, got ${bytes}`);
  const rest: Place[] = [{ value, level: 1, key: "", within: null }];
  let leastBytes = 0;
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next.value === "string") {
      const fault = textFault(next.value);
      if (fault !== null) return whole(fault);
    } else if (JSON.isRawJSON(next.value)) {
      return { path: pathOf(next), message: numberFault(next.value.rawJSON) };
    } else if (typeof next.value === "bigint") {
      leastBytes += next.value.toString().length - 1;
      if (leastBytes > max.bytes) return tooLarge("more");
    } else if (typeof next.value === "object" && next.value !== null) {
      if (next.level > max.levels) return whole(`must be at most ${max.levels} levels deep`);
      for (const [key, inner] of Object.entries(next.value)) {
        const fault = Array.isArray(next.value) ? null : textFault(key);
        if (fault !== null) return whole(fault);
        // One sign and what parts it from the next: no need to walk on.
        leastBytes += 2;
        if (leastBytes > max.bytes) return tooLarge("more");
        rest.push({ value: inner, level: next.level + 1, key, within: next });
      }
    }
  }
  const bytes = jsonSize(value);
  return bytes > max.bytes ? tooLarge(bytes) : null;
}

function pathOf(place: Place): string[] {
  const path: string[] = [];
  for (let at = place; at.within !== null; at = at.within) path.unshift(at.key);
  return path;
}
