/**
 * How many bytes a JSON value has as PostgreSQL writes it, which is without an exponent: five characters in, 1e308 comes
 * back as 309. Walks without recursion, so that no nesting can exhaust the stack.
 */
export function jsonSize(value: unknown): number {
  const rest = [value];
  let zeros = 0;
  while (rest.length > 0) {
    const next = rest.pop();
    if (typeof next === "number") zeros += exponentOf(next);
    else if (typeof next === "object" && next !== null) for (const inner of Object.values(next)) rest.push(inner);
  }
  return Buffer.byteLength(JSON.stringify(value)) + zeros;
}

/** How many places JSON's exponent saves; 0 for a number that has none. */
function exponentOf(value: number): number {
  return Math.abs(Number(String(value).split("e")[1] ?? 0));
}
