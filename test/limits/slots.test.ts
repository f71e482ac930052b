import { SLOTS } from "../../src/limits/policies.js";
import { Slots } from "../../src/limits/slots.js";

const of = (user: string, tenant = "ours") => ({ user: `${tenant}:${user}`, tenant });

/** How many more this owner may have; they are given back. */
function left(slots: Slots, owner: { user: string; tenant: string }): number {
  const taken: (() => void)[] = [];
  try {
    for (;;) taken.push(slots.enter(owner));
  } catch {
    for (const leave of taken) leave();
    return taken.length;
  }
}

it("gives each user so many, whatever the others have", () => {
  const slots = new Slots({ perUser: 2, perTenant: 10 }, "streams");
  slots.enter(of("me"));
  slots.enter(of("me"));
  expect(() => slots.enter(of("me"))).toThrow(
    expect.objectContaining({
      code: "rate_limit_exceeded",
      message: "A user may have 2 streams",
      retryAfterSeconds: SLOTS.retryAfterSeconds,
    }),
  );
  expect(left(slots, of("you"))).toBe(2);
  // The same user in another tenant is another one.
  expect(left(slots, of("me", "theirs"))).toBe(2);
});

it("gives each tenant so many, whoever of its users has them", () => {
  const slots = new Slots({ perUser: 2, perTenant: 3 }, "streams");
  for (const user of ["a", "b", "c"]) slots.enter(of(user));
  expect(() => slots.enter(of("d"))).toThrow(
    expect.objectContaining({ code: "rate_limit_exceeded", message: "A tenant may have 3 streams" }),
  );
  expect(left(slots, of("a"))).toBe(0);
  expect(left(slots, of("a", "theirs"))).toBe(2);
});

it("takes nothing for whoever is refused", () => {
  const slots = new Slots({ perUser: 2, perTenant: 3 }, "streams");
  const taken = ["a", "b", "c"].map((user) => slots.enter(of(user)));
  for (let n = 0; n < 10; n += 1) expect(() => slots.enter(of("d"))).toThrow("A tenant may have 3 streams");
  for (const leave of taken) leave();
  expect(left(slots, of("d"))).toBe(2);
});

it("takes back each one once, however often it is given back", () => {
  const slots = new Slots({ perUser: 2, perTenant: 2 }, "streams");
  const leave = slots.enter(of("me"));
  slots.enter(of("me"));
  leave();
  leave();
  expect(left(slots, of("me"))).toBe(1);
  expect(left(slots, of("you"))).toBe(1);
});
