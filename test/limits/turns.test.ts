import { randomUUID } from "node:crypto";
import { Turns } from "../../src/limits/turns.js";

const here = new AbortController().signal;

describe("a user's turns", () => {
  it("are so many at once, then in order as others end, and other users' are their own", async () => {
    const limit = new Turns(2, "requests");
    const begun: string[] = [];
    const enter = async (name: string, userId = "me") => {
      const leave = await limit.enter(userId, here);
      begun.push(name);
      return leave;
    };
    const [a, b] = await Promise.all([enter("a"), enter("b")]);
    const [c, d] = [enter("c"), enter("d")];
    await enter("theirs", "you");
    expect(begun).toEqual(["a", "b", "theirs"]);
    a();
    // Again: a turn is given back once.
    a();
    await c;
    expect(begun).toEqual(["a", "b", "theirs", "c"]);
    b();
    await d;
    expect(begun.at(-1)).toBe("d");
  });

  it("are not waited for by those who have gone", async () => {
    const limit = new Turns(1, "requests");
    const leave = await limit.enter("me", here);
    const gone = new AbortController();
    const first = limit.enter("me", gone.signal);
    const second = limit.enter("me", here);
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: "rate_limit_exceeded" });
    await expect(limit.enter("me", gone.signal)).rejects.toMatchObject({ code: "rate_limit_exceeded" });
    leave();
    (await second)();
    (await limit.enter("me", here))();
  });

  it("are waited for by so many, and for so long", async () => {
    const limit = new Turns(1, "requests", { waiting: 5, waitMs: 20 });
    const leave = await limit.enter("me", here);
    const ends = Promise.allSettled(Array.from({ length: 5 }, () => limit.enter("me", here)));
    await expect(limit.enter("me", here)).rejects.toMatchObject({ code: "rate_limit_exceeded", retryAfterSeconds: 1 });
    expect((await ends).map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
    leave();
    (await limit.enter("me", here))();
    expect(limit.size).toBe(0);
  });

  it("leave nothing behind", async () => {
    const limit = new Turns(1, "requests");
    for (let n = 0; n < 100; n += 1) (await limit.enter(randomUUID(), here))();
    expect(limit.size).toBe(0);
  });
});
