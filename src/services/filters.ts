import { invalidInput } from "../errors.js";
import { PAGES } from "../limits/policies.js";

/**
 * @param faults what is wrong with each field; null: nothing.
 * @throws AtlasError `invalid_input` naming each field with a fault
 */
export function refuseFilter(faults: Readonly<Record<string, string | null>>): void {
  const details = Object.entries(faults).flatMap(([field, message]) =>
    message === null ? [] : [{ path: `filter.${field}`, message }],
  );
  if (details.length > 0) throw invalidInput(details);
}

/**
 * What is wrong with a filter's list of values; null: nothing, or there is no list.
 * @param faultOf what is wrong with one value; null: nothing.
 */
export function valuesFault(
  values: readonly string[] | null | undefined,
  faultOf: (value: string) => string | null = () => null,
): string | null {
  if (values == null) return null;
  if (values.length > PAGES.filterValues) return `must name at most ${PAGES.filterValues}, got ${values.length}`;
  return values.map(faultOf).find((fault) => fault !== null) ?? null;
}
