import fc from "fast-check";

/** Decisions read off a list of numbers; once it is used up, always the first: so a shorter list makes a smaller thing. */
export class Choices {
  private next = 0;

  constructor(private readonly numbers: readonly number[]) {}

  below(bound: number): number {
    return (this.numbers[this.next++] ?? 0) % bound;
  }

  of<T>(items: readonly [T, ...T[]] | readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Every so often; no longer once the numbers are used up. */
  oneIn(times: number): boolean {
    return this.below(times) === times - 1;
  }
}

/** What `build` makes of random choices. */
export function chosen<T>(build: (choices: Choices) => T, maxChoices = 150): fc.Arbitrary<T> {
  return fc.array(fc.nat(9_999), { maxLength: maxChoices, size: "max" }).map((numbers) => build(new Choices(numbers)));
}
