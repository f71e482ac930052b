/** One thing that must hold, and what was found; `wrong` names what breaks it. */
export interface Finding {
  what: string;
  checked: number;
  wrong: string[];
}

/** Clocks are the same machine's; an event's instant is taken before its answer or its handler's end is noted, or after. */
export const LATE_MS = 500;

export function finding(what: string, all: Iterable<string>, isWrong: (one: string) => boolean): Finding {
  const checked = [...all];
  return { what, checked: checked.length, wrong: checked.filter(isWrong) };
}

/** The names that come more than once. */
export function repeated(names: string[]): string[] {
  return [...Map.groupBy(names, (name) => name)].filter(([, same]) => same.length > 1).map(([name]) => name);
}
