import { Cursors } from "../../src/services/cursors.js";

const TENANT = "11111111-1111-4111-8111-111111111111";
const JOB = "22222222-2222-4222-8222-222222222222";
const EVENT = { position: 1_099_511_627_776n, id: 42n };
const PLACE = { priority: -7, createdAt: new Date("2026-01-02T03:04:05.678Z"), id: JOB };
const USER = "33333333-3333-4333-8333-333333333333";

const cursors = new Cursors(Buffer.alloc(32, 7));

/*
 * Clients keep cursors for weeks, and during a rolling upgrade each next request may meet the other version. So these texts are
 * never changed. A new format is first read, in one version, and written by the next one; its texts are added here.
 */
describe("cursors of every version so far", () => {
  it.each([
    [
      "event",
      "H1FKr6FPF6beiVM3pkBJNLphknUcCc9oM0wpIQ",
      cursors.ofEvent(TENANT, EVENT),
      EVENT,
      (text: string) => cursors.readEvent(TENANT, text),
    ],
    [
      "page",
      "OxFjul-K1qial0ZqUBcaW2Af77dGN35zQtOR_1IE3uUNnHSMyRdoEg",
      cursors.ofJob(TENANT, PLACE),
      PLACE,
      (text: string) => cursors.readJob(TENANT, text),
    ],
    [
      "version",
      "Ob6hbzNRe6NlmBFtRFdMqsZ2KtLz7_MqRFPZF5E3ees",
      cursors.ofVersion(TENANT, JOB, 3),
      3,
      (text: string) => cursors.readVersion(TENANT, JOB, text),
    ],
    [
      "member",
      "0wohG08oJZ9rhGxA76Szrdlyu7mg9EAiNxBs7A",
      cursors.ofMember(TENANT, USER),
      USER,
      (text: string) => cursors.readMember(TENANT, text),
    ],
  ])("are read and written alike: %s", (_kind, text, written, place, read) => {
    expect(written).toBe(text);
    expect(read(text)).toEqual(place);
  });
});

it.each([
  ["forged", TENANT, cursors.ofEvent(TENANT, EVENT).replace(/.$/, (last) => (last === "A" ? "B" : "A"))],
  ["empty", TENANT, ""],
  ["far too long", TENANT, "x".repeat(5_000)],
  ["another tenant's", USER, cursors.ofEvent(TENANT, EVENT)],
])("refuses a cursor that is %s", (_what, tenantId, cursor) => {
  expect(() => cursors.readEvent(tenantId, cursor)).toThrow(expect.objectContaining({ code: "invalid_cursor" }));
});
