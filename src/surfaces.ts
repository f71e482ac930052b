import type { Api } from "./api.js";
import type { Config } from "./config.js";
import { createGraphqlSurface } from "./graphql/graphql-surface.js";
import type { Surface } from "./http/surface.js";
import { Pace } from "./limits/pace.js";
import { LARGE_JSON } from "./limits/policies.js";
import type { Logger } from "./log.js";
import { createRestSurface } from "./rest/rest-surface.js";

export interface SurfacesOptions extends Pick<Api, "services" | "authenticator" | "memberships"> {
  config: Config;
  log: Logger;
}

/** Every surface of the API: one is its folder, its import and its line here, and nothing else knows of it. */
export async function createSurfaces(options: SurfacesOptions): Promise<Surface[]> {
  // One pace for all: what a user sends to one surface counts on the others.
  const shared = { ...options, bodies: new Pace(LARGE_JSON) };
  const surfaces: Surface[] = [];
  surfaces.push(await createGraphqlSurface(shared));
  surfaces.push(createRestSurface(shared));
  return surfaces;
}
