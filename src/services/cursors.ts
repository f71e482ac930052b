import { createHmac, timingSafeEqual } from "node:crypto";
import { AtlasError } from "../errors.js";
import type { Position } from "../feed/position.js";

const MAC_BYTES = 12;
// 96 bits in base64url plus the payload; anything much longer is not ours.
const MAX_CURSOR_CHARACTERS = 100;

/** What a cursor points into; a cursor of one kind is no cursor of another. */
type CursorKind = "event" | "page" | "version" | "member";

/**
 * Makes and reads cursors: hidden from clients and authenticated with the installation's key, bound to a tenant, and the
 * same each time for the same place. Hidden, since positions and ids count every tenant's events: from two cursors that
 * can be read, one tenant would learn how much all others did in between.
 */
export class Cursors {
  constructor(private readonly key: Buffer) {}

  /** The cursor of a place in the tenant's events. */
  ofEvent(tenantId: string, { position, id }: Position): string {
    const payload = Buffer.alloc(16);
    payload.writeBigInt64BE(position, 0);
    payload.writeBigInt64BE(id, 8);
    return this.seal("event", tenantId, payload);
  }

  /** @throws AtlasError `invalid_cursor` */
  readEvent(tenantId: string, cursor: string): Position {
    const payload = this.open("event", tenantId, cursor, 16);
    return { position: payload.readBigInt64BE(0), id: payload.readBigInt64BE(8) };
  }

  /** The cursor of a job's place in a list. */
  ofJob(tenantId: string, job: { priority: number; createdAt: Date; id: string }): string {
    const payload = Buffer.alloc(28);
    payload.writeInt32BE(job.priority, 0);
    payload.writeBigInt64BE(BigInt(job.createdAt.getTime()), 4);
    payload.write(hexOf(job.id), 12, "hex");
    return this.seal("page", tenantId, payload);
  }

  /** @throws AtlasError `invalid_cursor` */
  readJob(tenantId: string, cursor: string): { priority: number; createdAt: Date; id: string } {
    const payload = this.open("page", tenantId, cursor, 28);
    return {
      priority: payload.readInt32BE(0),
      createdAt: new Date(Number(payload.readBigInt64BE(4))),
      id: uuidOf(payload.toString("hex", 12)),
    };
  }

  /** The cursor of a place in one job's events. */
  ofVersion(tenantId: string, jobId: string, version: number): string {
    const payload = Buffer.alloc(20);
    payload.write(hexOf(jobId), 0, "hex");
    payload.writeInt32BE(version, 16);
    return this.seal("version", tenantId, payload);
  }

  /** @throws AtlasError `invalid_cursor`, also for another job's */
  readVersion(tenantId: string, jobId: string, cursor: string): number {
    const payload = this.open("version", tenantId, cursor, 20);
    if (payload.toString("hex", 0, 16) !== hexOf(jobId)) {
      throw new AtlasError("invalid_cursor", "The cursor is not one of this job's events");
    }
    return payload.readInt32BE(16);
  }

  /** The cursor of a member's place among the tenant's. */
  ofMember(tenantId: string, userId: string): string {
    return this.seal("member", tenantId, Buffer.from(hexOf(userId), "hex"));
  }

  /** @throws AtlasError `invalid_cursor` */
  readMember(tenantId: string, cursor: string): string {
    return uuidOf(this.open("member", tenantId, cursor, 16).toString("hex"));
  }

  private seal(kind: CursorKind, tenantId: string, payload: Buffer): string {
    const mac = this.mac(kind, tenantId, payload);
    return Buffer.concat([this.mask(payload, mac), mac]).toString("base64url");
  }

  private open(kind: CursorKind, tenantId: string, cursor: string, payloadBytes: number): Buffer {
    const sealed = cursor.length > MAX_CURSOR_CHARACTERS ? Buffer.alloc(0) : Buffer.from(cursor, "base64url");
    const mac = sealed.subarray(payloadBytes);
    const payload = this.mask(sealed.subarray(0, payloadBytes), mac);
    // A text that decodes alike is not the cursor that we gave out.
    const canonical = sealed.toString("base64url") === cursor;
    if (!canonical || mac.length !== MAC_BYTES || !timingSafeEqual(mac, this.mac(kind, tenantId, payload))) {
      throw new AtlasError("invalid_cursor", "The cursor is not one of this tenant's");
    }
    return payload;
  }

  /**
   * Hides a payload, or shows a hidden one: a synthetic IV (RFC 5297), whose key stream depends on the MAC and so on all
   * that the MAC covers. A payload is shorter than one hash. No kind of cursor begins like the text that tells it from a MAC.
   */
  private mask(payload: Buffer, mac: Buffer): Buffer {
    const stream = createHmac("sha256", this.key).update("mask:").update(mac).digest();
    return Buffer.from(payload.map((byte, index) => byte ^ (stream[index] ?? 0)));
  }

  private mac(kind: CursorKind, tenantId: string, payload: Buffer): Buffer {
    return createHmac("sha256", this.key)
      .update(`${kind}:${tenantId}:`)
      .update(payload)
      .digest()
      .subarray(0, MAC_BYTES);
  }
}

function hexOf(uuid: string): string {
  return uuid.replaceAll("-", "");
}

function uuidOf(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
