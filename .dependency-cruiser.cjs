// The directions of imports between the rooms of src. A room is a folder, a folder in one, or a file right under src; one that
// is not listed here may not be imported, and may import nothing.

/** Open to every room; they import nothing of ours but one another. */
const OPEN = ["config", "errors", "log", "words"];
/** room → what it may import; `types`: rooms of which it may import types only. */
const ALLOWED = {
  database: ["bounds", "limits"],
  auth: ["bounds", "database", "limits"],
  queue: ["bounds", "database", "limits"],
  feed: ["database", "limits", "queue/job-event"],
  handlers: ["bounds", "limits"],
  services: ["auth", "bounds", "database", "feed", "limits", "queue"],
  worker: ["bounds", "database", "handlers", "limits", "queue"],
  http: { values: ["auth", "bounds", "limits"], types: ["database", "metrics"] },
  rest: { values: ["bounds", "http", "limits", "services"], types: ["auth", "queue"] },
  // Resolvers get the services in their context.
  "graphql/api": { values: ["auth", "bounds", "limits"], types: ["queue", "services"] },
  "graphql/admission": { values: ["graphql/api", "limits"], types: ["auth"] },
  "graphql/socket": { values: ["auth", "bounds", "graphql/admission", "graphql/api", "limits"], types: ["services"] },
  graphql: { values: ["http", "limits", "services"], types: ["auth"] },
  api: ["auth", "database", "feed", "limits", "services"],
  demo: { values: ["auth", "services"], types: ["database"] },
  metrics: { values: ["queue"], types: ["database"] },
  "ensure-built": [],
  "front-page": ["demo"],
  server: { values: ["front-page", "http"], types: ["database", "metrics"] },
  // The one room that knows every surface.
  surfaces: { values: ["graphql", "http", "limits", "rest"], types: ["api"] },
  cli: ["auth", "bounds", "client", "database", "services"],
  main: ["api", "auth", "database", "demo", "http", "metrics", "server", "surfaces", "worker"],
};
/** Rooms closed also to what is open; some are still to come. */
const ALONE = {
  bounds: ["errors"],
  limits: ["errors"],
  client: { values: [], types: ["words"] },
  dashboard: ["client"],
};

/** What runs on its own: nothing imports it. */
const ENTRIES = [
  "src/ensure-built.js",
  "src/main.ts",
  "src/cli/main.ts",
  "src/database/embedded/watchdog.ts",
  "src/graphql/api/print-schema.ts",
  "src/handlers/isolation/entry.ts",
  "src/worker/beat-thread.ts",
  "src/worker/worker-thread.ts",
];

const anyOf = (paths) => `^src/(${paths.join("|")})(/|[.](tsx?|js)$)`;

function rulesOf(room, allowed) {
  const { values, types = [] } = Array.isArray(allowed) ? { values: allowed } : allowed;
  const within = Object.keys(rooms).filter((other) => other.startsWith(`${room}/`));
  const from = { path: anyOf([room]), ...(within.length > 0 && { pathNot: anyOf(within) }) };
  const own = OPEN.includes(room) ? [room, ...values] : [room, ...values, ...(room in ALONE ? [] : OPEN)];
  const rules = [
    {
      name: `${room.replace("/", "-")}-imports`,
      comment: `src/${room} may import ${[...own.slice(1), ...types.map((type) => `types of ${type}`)].join(", ") || "nothing of ours"}.`,
      severity: "error",
      from,
      to: { path: "^(src|test|bench|examples|dist)/", pathNot: anyOf([...own, ...types]) },
    },
  ];
  if (types.length > 0) {
    rules.push({
      name: `${room.replace("/", "-")}-imports-types-only`,
      comment: `src/${room} may import only types of ${types.join(", ")}.`,
      severity: "error",
      from,
      to: { path: anyOf(types), dependencyTypesNot: ["type-only"] },
    });
  }
  return rules;
}

const rooms = { ...ALLOWED, ...ALONE, ...Object.fromEntries(OPEN.map((room) => [room, OPEN])) };

module.exports = {
  forbidden: [
    ...Object.entries(rooms).flatMap(([room, allowed]) => rulesOf(room, allowed)),
    {
      name: "known-rooms",
      comment: "A new room needs its line in .dependency-cruiser.cjs and in the picture of the README.",
      severity: "error",
      from: { path: "^src/", pathNot: anyOf(Object.keys(rooms)) },
      to: {},
    },
    {
      name: "reads-change-nothing",
      comment: "Of the services only commands and creations may change the queue; the others read it.",
      severity: "error",
      from: { path: "^src/services/", pathNot: "-(commands|creation)[.]ts$" },
      to: {
        path: "^src/queue/",
        pathNot: "^src/queue/(job|job-event|usage|(find|read)-[a-z-]+)[.]ts$",
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "no-circular",
      comment: "These files import each other in a circle.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-orphans",
      comment: "Nothing imports this file and it imports nothing.",
      severity: "error",
      from: { orphan: true, path: "^src/", pathNot: ENTRIES.map((file) => `^${file}$`) },
      to: {},
    },
    {
      name: "no-unresolvable",
      comment: "There is no such file or package.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "not-to-dev-dep",
      comment: "src may not import a development dependency: it is absent in production.",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "no-non-package-json",
      comment: "The package is not in package.json.",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
  ],
  // A configuration that resolves nothing would find nothing wrong; this is wrong then.
  required: [
    {
      name: "main-reaches-the-database",
      comment: "From src/main.ts the database must be reachable; if it is not, imports were not resolved.",
      severity: "error",
      module: { path: "^src/main[.]ts$" },
      to: { path: "^src/database/database[.]ts$", reachable: true },
    },
  ],
  options: {
    // TypeScript 7 has no compiler interface for JavaScript, so swc parses; imports ending in .js are found as .ts.
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      mainFields: ["module", "main", "types"],
    },
  },
};
