const CONTROL = /\p{Cc}/u;
const LONE_SURROGATE = "must not contain a lone surrogate";
// JSON.stringify writes these as escapes. An even number of backslashes before is text.
const UNSTORABLE_ESCAPE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/;

/** Says why PostgreSQL cannot hold a text; null when it can. */
export function textFault(text: string): string | null {
  if (text.includes("\0")) return "must not contain the NUL character";
  return text.isWellFormed() ? null : LONE_SURROGATE;
}

/** Says why a text cannot be a name, as a job type and an idempotency key are; one message a fault, none when it can. */
export function nameFaults(name: string): string[] {
  return [
    ...(hasControlCharacters(name) ? ["must not contain control characters"] : []),
    ...(name.isWellFormed() ? [] : [LONE_SURROGATE]),
  ];
}

/** Whether a text holds line breaks or other control characters. */
export function hasControlCharacters(text: string): boolean {
  return CONTROL.test(text);
}

/** Whether a text of JSON, as `JSON.stringify` writes it, holds NUL characters or lone surrogates, which jsonb refuses. */
export function holdsUnstorableText(json: string): boolean {
  return UNSTORABLE_ESCAPE.test(json);
}

/** The beginning of a text; half a surrogate pair at its end, and lone surrogates, become U+FFFD. */
export function shortened(text: string, maxCharacters: number): string {
  return text.slice(0, maxCharacters).toWellFormed();
}

/** The beginning of a text as PostgreSQL can hold it: NUL characters and lone surrogates become U+FFFD. */
export function storableText(text: string, maxCharacters: number): string {
  return shortened(text, maxCharacters).replaceAll("\0", "\uFFFD");
}
