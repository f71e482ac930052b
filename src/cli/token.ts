import { issueToken } from "../auth/issue-token.js";
import { tokenRules } from "../auth/token-rules.js";
import { isUuid } from "../bounds/uuid.js";
import { type Command, UsageError } from "./command.js";

const DEFAULT_EXPIRES_IN_SECONDS = 3600;
const MAX_EXPIRES_IN_SECONDS = 10 * 366 * 86_400;

export const tokenCommand: Command = {
  name: "token",
  about: "issue a token (needs JWT_SECRET, or the development secret)",
  options: {
    user: { value: "UUID", required: true, about: "the user" },
    "expires-in": { value: "SECONDS", about: `how long it is valid (${DEFAULT_EXPIRES_IN_SECONDS})` },
  },
  run(options, { config }) {
    const { user = "", "expires-in": given } = options;
    if (!isUuid(user)) throw new UsageError("--user must be a UUID");
    const expiresInSeconds = given === undefined ? DEFAULT_EXPIRES_IN_SECONDS : Number(given);
    if (!Number.isInteger(expiresInSeconds) || expiresInSeconds < 1 || expiresInSeconds > MAX_EXPIRES_IN_SECONDS) {
      throw new UsageError(`--expires-in must be 1–${MAX_EXPIRES_IN_SECONDS} seconds, got ${given}`);
    }
    const token = issueToken(tokenRules(config), user.toLowerCase(), expiresInSeconds);
    return Promise.resolve({ text: token, json: { token, userId: user.toLowerCase(), expiresInSeconds } });
  },
};
