/** How the names of the test files begin that take over 15 s, the longest first. */
export const LONGEST_FILES: readonly string[] = [
  "test/faults/",
  "test/chaos/chaos",
  "test/flows/blocked",
  "test/fuzz/",
  "test/flows/mission",
  "test/database/embedded",
  "test/feed/failover",
  "test/rest/job-events",
  "test/client/",
  "test/flows/rolling-upgrade",
  "test/flows/live-updates",
  "test/worker/liveness",
  "test/graphql/socket-pace",
  "test/rolling/",
  "test/cli/",
  "test/checks/planted-faults",
];
