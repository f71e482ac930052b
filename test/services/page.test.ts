import { PAGES } from "../../src/limits/policies.js";
import { pageOf, partOf } from "../../src/services/page.js";

const items = (...ids: number[]) => ids.map((id) => ({ id }));
const cursorOf = ({ id }: { id: number }) => `at ${id}`;
const shown = (page: ReturnType<typeof pageOf<{ id: number }>>) => ({
  ...page,
  items: page.items.map(({ id, cursor }) => [id, cursor]),
});

describe("the part of a list that is read for a page", () => {
  it("is one item longer than the page", () => {
    expect(partOf({})).toEqual({ size: 50, limit: 51, backward: false, after: null, before: null });
    expect(partOf({ last: 3, before: "x" })).toEqual({ size: 3, limit: 4, backward: true, after: null, before: "x" });
  });

  it.each([
    [{ first: 0 }, ["first"]],
    [{ first: PAGES.rows + 1 }, ["first"]],
    [{ last: -1 }, ["last"]],
    [{ first: 1, last: 1 }, ["last"]],
    [{ first: 0, last: 0 }, ["first", "last", "last"]],
  ])("is refused for %j", (input, paths) => {
    expect(() => partOf(input)).toThrow(
      expect.objectContaining({
        code: "invalid_input",
        details: paths.map((path) => expect.objectContaining({ path })),
      }),
    );
  });
});

describe("a page", () => {
  it("leaves out the item that tells of more", () => {
    expect(shown(pageOf(partOf({ first: 2 }), items(1, 2, 3), cursorOf))).toEqual({
      items: [
        [1, "at 1"],
        [2, "at 2"],
      ],
      hasNextPage: true,
      hasPreviousPage: false,
    });
  });

  it("has something before it where it begins after a cursor", () => {
    expect(shown(pageOf(partOf({ first: 2, after: "x" }), items(1), cursorOf))).toEqual({
      items: [[1, "at 1"]],
      hasNextPage: false,
      hasPreviousPage: true,
    });
  });

  it("that is read from the end has the list's order", () => {
    expect(shown(pageOf(partOf({ last: 2, before: "x" }), items(9, 8, 7), cursorOf))).toEqual({
      items: [
        [8, "at 8"],
        [9, "at 9"],
      ],
      hasNextPage: true,
      hasPreviousPage: true,
    });
  });

  it("that could not show all that was read goes on after what it shows", () => {
    expect(pageOf(partOf({ first: 2 }), items(1), cursorOf, true)).toMatchObject({ hasNextPage: true });
  });

  it("makes a cursor only when it is asked for", () => {
    const made: number[] = [];
    const page = pageOf(partOf({}), items(1, 2), ({ id }) => String(made.push(id)));
    expect(made).toEqual([]);
    expect(page.items[1]?.cursor).toBe("1");
    expect(made).toEqual([2]);
  });
});
