/** How often a fixture is opened: once for its block (the file, or the `describe` that the call stands in), or for each test. */
export interface Span {
  per?: "block" | "test" | undefined;
}

/** Closes what is open, in the order of the opening. */
const closings: (() => unknown)[] = [];
// Registered before the hooks of the file that imports this.
closeBetween(beforeAll, afterAll);
closeBetween(beforeEach, afterEach);

/**
 * Closes something at the end of the test, or, called in a `beforeAll`, at the end of the block of the fixtures before it. What was
 * opened last is closed first.
 */
export function atEnd(close: () => unknown): void {
  closings.push(close);
}

/**
 * Opens a fixture in a hook before the tests.
 * @param open has it closed `atEnd`.
 * @returns the fixture, which may be passed on at once, but read in later hooks and in tests alone.
 */
export function useFixture<T extends object>(open: () => Promise<T>, { per = "block" }: Span = {}): T {
  if (per === "block") closeBetween(beforeAll, afterAll);
  let fixture: T | null = null;
  (per === "block" ? beforeAll : beforeEach)(async () => {
    atEnd(() => (fixture = null));
    fixture = await open();
  });
  const opened = (): T => {
    if (fixture === null) throw new Error("a fixture is open in tests, and in the hooks after its own, alone");
    return fixture;
  };
  return new Proxy({} as T, {
    get: (_, key) => bound(opened(), key),
    getOwnPropertyDescriptor: (_, key) => Reflect.getOwnPropertyDescriptor(opened(), key),
    has: (_, key) => Reflect.has(opened(), key),
    ownKeys: () => Reflect.ownKeys(opened()),
  });
}

/** Has an after hook close what was opened since the before hook. */
function closeBetween(before: typeof beforeAll, after: typeof afterAll): void {
  let openBefore = Infinity;
  before(() => {
    openBefore = closings.length;
  });
  after(() => closeDownTo(openBefore));
}

/** Goes on where one does not close. @throws the last error. */
async function closeDownTo(count: number): Promise<void> {
  if (closings.length <= count) return;
  try {
    await closings.pop()?.();
  } finally {
    await closeDownTo(count);
  }
}

/** A property; a method is called on the fixture itself, whose private fields a proxy does not have. */
function bound(fixture: object, key: string | symbol): unknown {
  const value = Reflect.get(fixture, key) as unknown;
  return typeof value === "function" ? (value.bind(fixture) as unknown) : value;
}
