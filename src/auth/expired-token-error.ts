import { AtlasError } from "../errors.js";

/** `invalid_token` for a token that was good until it expired: where refusals differ, its client is to come with a new one. */
export class ExpiredTokenError extends AtlasError {
  constructor() {
    super("invalid_token", "The bearer token is not valid: it has expired");
  }
}
