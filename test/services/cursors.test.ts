import { type CursorCodec, Cursors } from "../../src/services/cursors.js";
import { EVENT_PLACE } from "../../src/services/event-place.js";
import { JOB_EVENT_PLACE } from "../../src/services/job-history.js";
import { JOB_PLACE } from "../../src/services/read-jobs.js";
import { MEMBER_PLACE } from "../../src/services/member-service.js";

const TENANT = "11111111-1111-4111-8111-111111111111";
const JOB = "22222222-2222-4222-8222-222222222222";
const EVENT = { position: 1_099_511_627_776n, id: 42n };
const USER = "33333333-3333-4333-8333-333333333333";

const cursors = new Cursors(Buffer.alloc(32, 7));

function kept<Place>(codec: CursorCodec<Place>, place: Place, text: string) {
  const written = cursors.seal(codec, TENANT, place);
  return { kind: codec.kind, place, text, written, read: cursors.open(codec, TENANT, text) };
}

/*
 * Clients keep cursors for weeks, and during a rolling upgrade each next request may meet the other version. So these texts are
 * never changed. A new format is first read, in one version, and written by the next one; its texts are added here.
 */
const KEPT = [
  kept(EVENT_PLACE, EVENT, "H1FKr6FPF6beiVM3pkBJNLphknUcCc9oM0wpIQ"),
  kept(
    JOB_PLACE,
    { priority: -7, createdAt: new Date("2026-01-02T03:04:05.678Z"), id: JOB },
    "OxFjul-K1qial0ZqUBcaW2Af77dGN35zQtOR_1IE3uUNnHSMyRdoEg",
  ),
  kept(JOB_EVENT_PLACE, { jobId: JOB, version: 3 }, "Ob6hbzNRe6NlmBFtRFdMqsZ2KtLz7_MqRFPZF5E3ees"),
  kept(MEMBER_PLACE, USER, "0wohG08oJZ9rhGxA76Szrdlyu7mg9EAiNxBs7A"),
];

describe("cursors of every version so far", () => {
  it.each(KEPT)("are read and written alike: $kind", ({ text, written, place, read }) => {
    expect(written).toBe(text);
    expect(read).toEqual(place);
  });

  it("have a kind for each list", () => {
    expect(new Set(KEPT.map(({ kind }) => kind)).size).toBe(KEPT.length);
  });
});

it.each([
  ["forged", TENANT, cursors.seal(EVENT_PLACE, TENANT, EVENT).replace(/.$/, (last) => (last === "A" ? "B" : "A"))],
  ["empty", TENANT, ""],
  ["far too long", TENANT, "x".repeat(5_000)],
  ["another tenant's", USER, cursors.seal(EVENT_PLACE, TENANT, EVENT)],
  ["another kind's", TENANT, cursors.seal(MEMBER_PLACE, TENANT, USER)],
])("refuses a cursor that is %s", (_what, tenantId, cursor) => {
  expect(() => cursors.open(EVENT_PLACE, tenantId, cursor)).toThrow(
    expect.objectContaining({ code: "invalid_cursor" }),
  );
});

it.each([
  ["is longer than what hides it", 33, 33],
  ["has not the length that its codec names", 16, 17],
])("makes no cursor whose payload %s", (_what, bytes, length) => {
  const codec = { ...MEMBER_PLACE, bytes, encode: () => Buffer.alloc(length) };
  expect(() => cursors.seal(codec, TENANT, USER)).toThrow(`${length} bytes`);
});
