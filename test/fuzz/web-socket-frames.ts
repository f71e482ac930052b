import fc from "fast-check";

/** Opens a WebSocket on the endpoint, a character a byte. */
export const HANDSHAKE = [
  "GET /graphql HTTP/1.1",
  "Host: a",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: graphql-transport-ws",
  "\r\n",
].join("\r\n");

const PAYLOADS = [
  `{"type":"ping"}`,
  `{"type":"connection_init"}`,
  "",
  "\u00ff\u00fe",
  "x".repeat(200),
  "\u0003\u00e8bye",
  "\u0000\u0001",
];
const CLOSE = 8;
const FIN = 0x80;

/** A frame whose length is of one byte, and its mask of zeros, so that it stands there as it is. */
function frameOf(first: number, payload: string, masked = true): string {
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  const [shortLength = 0, ...more] = length;
  const mask = masked ? "\0\0\0\0" : "";
  return String.fromCharCode(first, shortLength + (masked ? 0x80 : 0), ...more) + mask + payload;
}

const frame = fc.oneof(
  // Every opcode, reserved bits, fragments, control frames that are too long.
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(255), fc.constantFrom(...PAYLOADS)).map(([first, payload]) => frameOf(first, payload)),
  },
  { weight: 2, arbitrary: fc.constantFrom(...PAYLOADS).map((payload) => frameOf(FIN + 1, payload)) },
  { weight: 1, arbitrary: fc.constantFrom(...PAYLOADS).map((payload) => frameOf(FIN + 1, payload, false)) },
  // Lengths past what is allowed, past what is sent, and past what a number holds.
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "\u0081\u00ff\0\0\0\0\0\u0002\0\u0001",
      "\u0081\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff",
      "\u0081\u00fe\u00ff\u00ff",
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("latin1")) },
);

/** Frames, sound and broken, and a close behind them. */
export const frames: fc.Arbitrary<string> = fc
  .array(frame, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("") + frameOf(FIN + CLOSE, "\u0003\u00e8"));

/** The codes that a server closed with, in all that it sent. */
export function closeCodesIn(answer: string): number[] {
  const codes: number[] = [];
  let rest = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  while (rest.length >= 2) {
    const opcode = rest.charCodeAt(0) & 0xf;
    const short = rest.charCodeAt(1);
    const [start, length] = short < 126 ? [2, short] : [4, rest.charCodeAt(2) * 256 + rest.charCodeAt(3)];
    if (opcode === CLOSE && length >= 2) codes.push(rest.charCodeAt(start) * 256 + rest.charCodeAt(start + 1));
    rest = rest.slice(start + length);
  }
  return codes;
}
