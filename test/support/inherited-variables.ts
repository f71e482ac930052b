const INHERITED = new Set(["PATH", "NODE_COMPILE_CACHE"]);

/** What a service that a test starts has of this process's environment: where programs are, and what Node has compiled. */
export function inheritedVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.has(name)));
}
