import { createHmac, timingSafeEqual } from "node:crypto";
import { AtlasError } from "../errors.js";

const MAC_BYTES = 12;
/** A payload is hidden by one SHA-256 hash, and so no longer than it. */
const MAX_PAYLOAD_BYTES = 32;
// 44 bytes at most, in base64url: anything much longer is not ours.
const MAX_CURSOR_CHARACTERS = 100;

/** How the places in one kind of list are written into cursors. It stands beside its list, and is never changed: clients keep cursors. */
export interface CursorCodec<Place> {
  /** Tells its cursors from those of other lists: unique, without a colon, and not `mask`. */
  readonly kind: string;
  /** The length of every payload: at most 32. */
  readonly bytes: number;
  encode(place: Place): Buffer;
  decode(payload: Buffer): Place;
}

/**
 * Makes and reads cursors: hidden from clients and authenticated with the installation's key, bound to a tenant, and the
 * same each time for the same place. Hidden, since positions and ids count every tenant's events: from two cursors that
 * can be read, one tenant would learn how much all others did in between.
 */
export class Cursors {
  constructor(private readonly key: Buffer) {}

  /** The cursor of a place in a tenant's list. */
  seal<Place>(codec: CursorCodec<Place>, tenantId: string, place: Place): string {
    const payload = codec.encode(place);
    if (payload.length !== codec.bytes || codec.bytes > MAX_PAYLOAD_BYTES) {
      throw new Error(
        `a ${codec.kind} cursor has ${payload.length} bytes, not ${codec.bytes} of at most ${MAX_PAYLOAD_BYTES}`,
      );
    }
    const mac = this.mac(codec.kind, tenantId, payload);
    return Buffer.concat([this.mask(payload, mac), mac]).toString("base64url");
  }

  /**
   * The place that a cursor of a tenant's list names.
   * @throws AtlasError `invalid_cursor` for any text that `seal` has not made with this codec for this tenant
   */
  open<Place>(codec: CursorCodec<Place>, tenantId: string, cursor: string): Place {
    const sealed = cursor.length > MAX_CURSOR_CHARACTERS ? Buffer.alloc(0) : Buffer.from(cursor, "base64url");
    const mac = sealed.subarray(codec.bytes);
    const payload = this.mask(sealed.subarray(0, codec.bytes), mac);
    // Several texts decode to the same bytes; only the one that `seal` wrote is the cursor.
    const canonical = sealed.toString("base64url") === cursor;
    if (!canonical || mac.length !== MAC_BYTES || !timingSafeEqual(mac, this.mac(codec.kind, tenantId, payload))) {
      throw new AtlasError("invalid_cursor", "The cursor is not one of this tenant's");
    }
    return codec.decode(payload);
  }

  /**
   * Hides a payload, or shows a hidden one: a synthetic IV (RFC 5297), whose key stream depends on the MAC and so on all
   * that the MAC covers. The hash of a mask begins with `mask:`, that of a MAC with the kind: so the two are never the same.
   */
  private mask(payload: Buffer, mac: Buffer): Buffer {
    const stream = createHmac("sha256", this.key).update("mask:").update(mac).digest();
    return Buffer.from(payload.map((byte, index) => byte ^ (stream[index] ?? 0)));
  }

  private mac(kind: string, tenantId: string, payload: Buffer): Buffer {
    return createHmac("sha256", this.key)
      .update(`${kind}:${tenantId}:`)
      .update(payload)
      .digest()
      .subarray(0, MAC_BYTES);
  }
}
