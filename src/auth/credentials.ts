import type { IncomingHttpHeaders } from "node:http";

/** What a request says of itself, before any of it is believed. */
export interface Credentials {
  /** The `Authorization` header. */
  authorization: string | undefined;
  /** Every tenant id that was given, in whatever place. */
  tenantIds: readonly string[];
}

/** The credentials in HTTP headers, names in lower case. A repeated header arrives as one, comma-separated. */
export function credentialsOf(headers: IncomingHttpHeaders): Credentials {
  const tenant = headers["x-tenant-id"];
  return {
    authorization: headers.authorization,
    tenantIds: (Array.isArray(tenant) ? tenant : [tenant ?? ""]).flatMap((value) => value.split(",")),
  };
}
