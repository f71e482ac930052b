import { z } from "zod";
import { shortened } from "../bounds/text.js";
import type { Json } from "./handler.js";
import type { Delivery } from "./mailer.js";

const refusal = z.object({ recipient: z.string(), reason: z.string() });
const progress = z.object({ accepted: z.array(z.string()), refused: z.array(refusal) });

/** Longer ones would fill the checkpoint: a mail has up to 150 recipients. */
const MAX_REASON_CHARACTERS = 500;

/** What has become of a mail's recipients, over all attempts. */
export class EmailProgress {
  /** Of the latest attempt. */
  readonly deferred = new Map<string, string>();

  private constructor(
    readonly recipients: readonly string[],
    /** The mail server has taken the mail for them. */
    readonly accepted: string[],
    /** Recipient → why the mail is not for them, for good. */
    readonly refused: Map<string, string>,
  ) {}

  /** Goes on from what an earlier attempt kept; from nothing if that is not of this class's making. */
  static resume(recipients: readonly string[], checkpointed: Json): EmailProgress {
    const kept = progress.safeParse(checkpointed);
    const { accepted, refused } = kept.success ? kept.data : { accepted: [], refused: [] };
    return new EmailProgress(
      recipients,
      accepted,
      new Map(refused.map(({ recipient, reason }) => [recipient, reason])),
    );
  }

  /** Those who may still be sent the mail. */
  get pending(): string[] {
    return this.recipients.filter((recipient) => !this.accepted.includes(recipient) && !this.refused.has(recipient));
  }

  add({ accepted, refused, deferred }: Delivery): void {
    this.accepted.push(...accepted);
    for (const { recipient, reason } of refused) this.refuse(recipient, reason);
    for (const { recipient, reason } of deferred)
      this.deferred.set(recipient, shortened(reason, MAX_REASON_CHARACTERS));
  }

  refuse(recipient: string, reason: string): void {
    this.refused.set(recipient, shortened(reason, MAX_REASON_CHARACTERS));
  }

  /** What a later attempt needs. */
  toJson(): Json {
    const refused = [...this.refused].map(([recipient, reason]) => ({ recipient, reason }));
    return { accepted: this.accepted, refused };
  }
}
