import { domainToASCII, domainToUnicode } from "node:url";
import addressparser from "nodemailer/lib/addressparser";
import { encodeWord } from "nodemailer/lib/mime-funcs";
import { z } from "zod";
import { hasControlCharacters } from "../bounds/text.js";
import { type JsonObject, PermanentError } from "./handler.js";

/** A mail address, its domain in ASCII where its local part is, and the name shown with it; empty: none. */
interface Mailbox {
  name: string;
  address: string;
}

/** What an EMAIL_SEND job asks to be sent, checked. */
export interface EmailMessage {
  to: Mailbox[];
  cc: Mailbox[];
  bcc: Mailbox[];
  replyTo: Mailbox[];
  subject: string;
  text: string;
  /** undefined: the mail is plain text. */
  html: string | undefined;
}

const MAX_ADDRESSES = 50;
const MAX_ADDRESS_CHARACTERS = 320;
const MAX_SUBJECT_CHARACTERS = 998;

// RFC 5321's dot-atom and domain, with RFC 6531's letters of every script. The library's parser accepts far more:
// quoted local parts, address literals and repairs of broken addresses, where what is sent is not what was written.
const ATOM = "[\\w!#$%&'*+/=?^`{|}~\\-\\P{ASCII}]+";
const LABEL = "[\\p{L}\\p{M}\\p{N}](?:[\\p{L}\\p{M}\\p{N}\\-]{0,61}[\\p{L}\\p{M}\\p{N}])?";
const ADDRESS = new RegExp(`^(?=.{1,64}@)${ATOM}(?:\\.${ATOM})*@(?=.{1,255}$)${LABEL}(?:\\.${LABEL})*$`, "u");
const DNS_NAME = /^(?=.{1,255}$)[^.]{1,63}(?:\.[^.]{1,63})*$/;
// A header is folded between words, and a line has at most 998 octets (RFC 5322 2.1.1), "Subject: " and "=?UTF-8?Q?" too.
// A line that is folded among many spaces would hold nothing else, and may be read as the headers' end.
const UNFOLDABLE = /[^ ]{900}| {60}/;
const ENCODED_WORD_OCTETS = 52;
const INVISIBLE = /[\p{C}\p{Z}]/u;

const NO_CONTROL = "must not contain line breaks or other control characters";

const text = z.string("must be text");

const headerText = text
  .max(MAX_SUBJECT_CHARACTERS, {
    error: ({ input }) => `must be at most ${MAX_SUBJECT_CHARACTERS} characters, got ${(input as string).length}`,
  })
  .refine((value) => !hasControlCharacters(value), NO_CONTROL)
  .transform((value) => (UNFOLDABLE.test(value) ? encodeWord(value, "Q", ENCODED_WORD_OCTETS) : value));

const mailbox = z.unknown().transform((value, context): Mailbox => {
  const parsed = parseMailbox(value);
  if (typeof parsed !== "string") return parsed;
  context.issues.push({ code: "custom", message: parsed, input: value });
  return z.NEVER;
});

const mailboxes = (min: number) => {
  const bound = `must be ${min}–${MAX_ADDRESSES} addresses`;
  const outOfBounds = { error: ({ input }: { input?: unknown }) => `${bound}, got ${(input as unknown[]).length}` };
  return z.preprocess(
    (value) => (typeof value === "string" ? [value] : value),
    z.array(mailbox, `${bound}: name@host or Name <name@host>`).min(min, outOfBounds).max(MAX_ADDRESSES, outOfBounds),
  );
};

const message = z.object({
  to: mailboxes(1),
  cc: mailboxes(0).default([]),
  bcc: mailboxes(0).default([]),
  replyTo: mailboxes(0).default([]),
  subject: headerText.default(""),
  text: text.optional(),
  body: text.optional(),
  html: text.optional(),
});

/**
 * Checks the input of an EMAIL_SEND job. `body` is another name of `text`, which wins when both are given; an explicit
 * null counts as absent; fields it does not know are ignored, as legacy clients send some.
 * @throws {PermanentError} `invalid_input`, naming each bad field and its bound.
 */
export function parseEmail(input: JsonObject): EmailMessage {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null));
  const parsed = message.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${placeOf(issue.path, given)} ${issue.message}`);
    throw new PermanentError(problems.join("; "), "invalid_input");
  }
  const { body = "", text: plain = body, ...rest } = parsed.data;
  return { ...rest, text: plain, html: rest.html };
}

/** Each address that a mail is for, once. */
export function recipientsOf({ to, cc, bcc }: EmailMessage): string[] {
  return [...new Set([...to, ...cc, ...bcc].map(({ address }) => address))];
}

/** Whether an address can be used only where the mail server has SMTPUTF8 (RFC 6531). */
export function needsSmtpUtf8(address: string): boolean {
  return /\P{ASCII}/u.test(address);
}

/** Names a field as its client wrote it: `to` for one address, `to[3]` in a list of them. */
function placeOf([field, index]: readonly PropertyKey[], given: Record<string, unknown>): string {
  const isInList = typeof index === "number" && Array.isArray(given[String(field)]);
  return isInList ? `${String(field)}[${index}]` : String(field);
}

/** @returns the one mailbox that a text holds, or what is wrong with it. */
function parseMailbox(value: unknown): Mailbox | string {
  const expected = "must be one address, name@host or Name <name@host>";
  if (typeof value !== "string") return expected;
  if (hasControlCharacters(value)) return NO_CONTROL;
  if (value.length > MAX_ADDRESS_CHARACTERS) {
    return `must be at most ${MAX_ADDRESS_CHARACTERS} characters, got ${value.length}`;
  }
  const trimmed = value.trim();
  const [first, ...others] = addressparser(trimmed);
  if (first?.address === undefined || others.length > 0) return expected;
  const { name, address } = first;
  const isWhole = trimmed === address || trimmed.endsWith(`<${address}>`);
  if (!isWhole || !ADDRESS.test(address) || INVISIBLE.test(address)) return expected;
  const [local, domain] = address.split("@") as [string, string];
  const ascii = domainToASCII(domain);
  // Where the last label is a number, it is read as an IP address and completed to one.
  if (!needsSmtpUtf8(domain) && ascii !== domain.toLowerCase()) return expected;
  if (!DNS_NAME.test(ascii)) return "must have a domain of at most 255 characters in its ASCII form, each label 63";
  return {
    name: name.replaceAll(/ +/g, " "),
    address: `${local}@${needsSmtpUtf8(local) ? domainToUnicode(ascii) : ascii}`,
  };
}
